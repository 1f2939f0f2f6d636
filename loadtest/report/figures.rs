//! Figures as people read them: three significant digits and a unit.

/// Milliseconds in a day.
const DAY_MS: u64 = 86_400_000;

/// Units of time, in nanoseconds.
const TIMES: [(f64, &str); 4] = [(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")];

/// Units of memory and of traffic, in octets.
const SIZES: [(f64, &str); 4] = [(1.0, "B"), (1024.0, "KiB"), (1_048_576.0, "MiB"), (1_073_741_824.0, "GiB")];

/// A span of time: `293 ns`, `1.23 µs`, `45.0 ms`, `600 s`; infinite ones as `∞`.
pub fn duration(nanoseconds: f64) -> String {
    with_unit(nanoseconds, &TIMES, 999.5)
}

/// A span of time that is not known to more than two digits: `290 ns`, `1.2 µs`, `45 ms`.
pub fn rough_duration(nanoseconds: f64) -> String {
    let two_digits = format!("{nanoseconds:.1e}").parse().unwrap_or(nanoseconds);
    round(&duration(two_digits))
}

/// Octets: `134 B`, `1,028 B`, `15.0 KiB`, `23.1 MiB`. Those of a message have no prefix up to four digits: the few octets of a frame
/// around a KiB would not show.
pub fn octets(octets: f64) -> String {
    with_unit(octets, &SIZES, if octets < 9_999.5 { 9_999.5 } else { 999.5 })
}

/// How many times as much: `12.3×`.
pub fn times(factor: f64) -> String {
    format!("{}×", three_digits(factor))
}

/// From one factor to another: `0.970–1.08`.
pub fn range(low: f64, high: f64) -> String {
    format!("{}–{}", three_digits(low), three_digits(high))
}

/// A share of 1, as a percentage: `12.3 %`.
pub fn percent(share: f64) -> String {
    format!("{} %", significant(share * 100.0))
}

/// Events a second: `1,000/s`.
pub fn rate(per_second: f64) -> String {
    format!("{}/s", significant(per_second))
}

/// A count, with separated thousands: `1,234,567`.
pub fn count(count: u64) -> String {
    separated(&count.to_string())
}

/// A value at a tick of an axis: without the zeros that three digits bring (`1 ms` for `1.00 ms`).
pub fn round(figure: &str) -> String {
    let (number, unit) = figure.split_once(' ').map_or((figure, ""), |(number, unit)| (number, unit));
    let number =
        if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
    if unit.is_empty() { number.to_owned() } else { format!("{number} {unit}") }
}

/// A number with three significant digits, and whole ones in full: `0.0153`, `12.3`, `7`, `1,234`.
pub fn significant(value: f64) -> String {
    if value.fract() == 0.0 { separated(&format!("{value:.0}")) } else { three_digits(value) }
}

/// A moment: `2026-02-03 14:05 UTC`.
pub fn moment(unix_ms: u64) -> String {
    let (year, month, day) = civil_date(unix_ms / DAY_MS);
    let minutes = unix_ms % DAY_MS / 60_000;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", minutes / 60, minutes % 60)
}

/// The value in the smallest unit in which it stays below a limit.
fn with_unit(value: f64, units: &[(f64, &str)], limit: f64) -> String {
    if value.is_infinite() {
        return three_digits(value);
    }
    let fits = |&(size, _): &(f64, &str)| (value / size).abs() < limit;
    let chosen = units.iter().position(fits).unwrap_or(units.len() - 1);
    let (size, unit) = units[chosen];
    let number = if chosen == 0 { significant(value) } else { three_digits(value / size) };
    format!("{number} {unit}")
}

/// Three significant digits, or all those before the point if these are more.
fn three_digits(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "∞".to_owned() } else { "−∞".to_owned() };
    }
    let decimals = usize::try_from(2 - decimal_exponent(value)).unwrap_or(0);
    if decimals == 0 { separated(&format!("{value:.0}")) } else { format!("{value:.decimals$}") }
}

/// The power of ten of the first digit, after rounding to three: 9.996 has 1, as it is 10.0.
fn decimal_exponent(value: f64) -> i32 {
    let scientific = format!("{value:.2e}");
    let exponent = scientific.split_once('e').map(|(_, exponent)| exponent.parse());
    exponent.and_then(Result::ok).unwrap_or(0)
}

/// Whole digits, possibly with a sign, in threes.
fn separated(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let mut out = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// Years are counted from 1 March, so that the leap day is the last of its year.
fn civil_date(day: u64) -> (u64, u64, u64) {
    let day = day + 719_468; // from 0000-03-01
    let era = day / 146_097; // 400 years
    let of_era = day % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153; // March is 0
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits_and_the_unit_that_fits_after_rounding() {
        let cases = [
            (0.0, "0 ns"),
            (293.0, "293 ns"),
            (999.6, "1.00 µs"),
            (1_234.0, "1.23 µs"),
            (9_996.0, "10.0 µs"),
            (999_499.0, "999 µs"),
            (999_500.0, "1.00 ms"),
            (45e6, "45.0 ms"),
            (600e9, "600 s"),
            (3.6e12, "3,600 s"),
            (f64::INFINITY, "∞"),
        ];
        for (nanoseconds, text) in cases {
            assert_eq!(duration(nanoseconds), text, "{nanoseconds}");
        }
    }

    #[test]
    fn rough_durations_have_two_digits_at_most() {
        for (nanoseconds, text) in [
            (0.0, "0 ns"),
            (293.0, "290 ns"),
            (996.0, "1 µs"),
            (1_234.0, "1.2 µs"),
            (9_960.0, "10 µs"),
            (45.4e6, "45 ms"),
            (345e6, "340 ms"),
            (f64::INFINITY, "∞"),
        ] {
            assert_eq!(rough_duration(nanoseconds), text, "{nanoseconds}");
        }
    }

    #[test]
    fn octets_of_a_message_are_counted_and_larger_amounts_have_three_digits() {
        let cases = [
            (2.0, "2 B"),
            (12.34, "12.3 B"),
            (1_028.4, "1,028 B"),
            (9_999.4, "9,999 B"),
            (10_240.0, "10.0 KiB"),
        ];
        for (value, text) in cases {
            assert_eq!(octets(value), text, "{value}");
        }
        assert_eq!(octets(24_222_106.0), "23.1 MiB");
    }

    #[test]
    fn numbers_have_three_digits_and_large_ones_all_of_theirs() {
        let cases = [
            (0.01526, "0.0153"),
            (1.0, "1"),
            (1.005, "1.00"),
            (99.96, "100"),
            (664.6, "665"),
            (1_234_567.0, "1,234,567"),
            (-1_234.0, "-1,234"),
        ];
        for (value, text) in cases {
            assert_eq!(significant(value), text, "{value}");
        }
        assert_eq!(count(1_000_000), "1,000,000");
        assert_eq!(
            (percent(0.5), times(12.34), rate(250_000.0)),
            ("50 %".into(), "12.3×".into(), "250,000/s".into())
        );
    }

    #[test]
    fn ticks_lose_their_zeros_but_not_their_tens() {
        for (figure, tick) in
            [("1.00 ms", "1 ms"), ("100 ms", "100 ms"), ("0.50 s", "0.5 s"), ("1,000", "1,000")]
        {
            assert_eq!(round(figure), tick);
        }
    }

    #[test]
    fn moments_know_the_leap_days() {
        assert_eq!(moment(0), "1970-01-01 00:00 UTC");
        assert_eq!(moment(1_709_210_096_000), "2024-02-29 12:34 UTC");
        assert_eq!(moment(1_795_291_200_123), "2026-11-21 20:00 UTC");
        assert_eq!(moment(4_107_542_399_000), "2100-02-28 23:59 UTC");
        assert_eq!(moment(4_107_542_400_000), "2100-03-01 00:00 UTC");
    }
}
