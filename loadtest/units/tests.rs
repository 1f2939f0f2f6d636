use std::fmt::Debug;
use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

fn is_read_as_written<T>(value: T) -> Result<(), TestCaseError>
where
    T: fmt::Display + FromStr<Err = BadValue> + PartialEq + Debug,
{
    prop_assert_eq!(value.to_string().parse(), Ok(value));
    Ok(())
}

/// Any magnitude is as likely as any other, and round values are not rare.
fn amount() -> impl Strategy<Value = u64> {
    let any_magnitude = (any::<u64>(), 0..64_u32).prop_map(|(amount, shift)| amount >> shift);
    let round = (0..10_000_u64, 0..15_u32).prop_map(|(digits, zeros)| digits * 10_u64.pow(zeros));
    let timely = (0..10_000_u64, 0..6_usize).prop_map(|(n, unit)| n * PERIODS.units[unit].factor);
    prop_oneof![any_magnitude, round, timely]
}

proptest! {
    #[test]
    fn values_are_read_as_they_are_written(amount in amount(), mss in Mss::RANGE) {
        is_read_as_written(Count(amount))?;
        is_read_as_written(Rate::from_thousandths(amount))?;
        is_read_as_written(Period::from_ns(amount))?;
        is_read_as_written(Size(amount))?;
        is_read_as_written(Mss(mss))?;
    }

    #[test]
    fn nothing_shorter_is_read_as_the_same(digits in 1..10_000_u64, unit in 0..6_usize) {
        let Unit { name, factor } = PERIODS.units[unit];
        let written = Period::from_ns(digits * factor).to_string();
        prop_assert!(written.len() <= format!("{digits}{name}").len(), "{}", written);
    }

    #[test]
    fn ranges_of_addresses_are_read_as_they_are_written(first: u32, count in 0..1000_u32, first6: u128) {
        let range = |first: IpAddr, last: IpAddr| SourceAddresses::new(first, last).unwrap();
        let last = first.saturating_add(count);
        is_read_as_written(range(IpAddr::V4(first.into()), IpAddr::V4(last.into())))?;
        let last6 = first6.saturating_add(count.into());
        is_read_as_written(range(IpAddr::V6(first6.into()), IpAddr::V6(last6.into())))?;
    }

    #[test]
    fn a_rotation_has_every_address_once_in_each_round(first: u32, count in 1..300_u32) {
        let last = first.saturating_add(count - 1);
        let range = SourceAddresses::new(IpAddr::V4(first.into()), IpAddr::V4(last.into())).unwrap();
        let round: Vec<IpAddr> = (first..=last).map(|number| IpAddr::V4(number.into())).collect();
        prop_assert_eq!(range.count(), round.len() as u128);
        prop_assert!(range.rotate().take(2 * round.len()).eq(round.iter().chain(&round).copied()));
    }
}

fn is_rejected<T: FromStr<Err = BadValue> + Debug>(texts: &[&str], expected: &str) {
    for text in texts {
        let error = text.parse::<T>().unwrap_err().to_string();
        assert!(error.starts_with(&format!("{text:?} is not {expected}")), "{error}");
        assert!(error.contains("such as"), "{error}");
    }
}

#[test]
fn numbers_have_decimal_units() {
    for (text, count) in
        [("0", 0), ("20", 20), ("1k", 1_000), ("2.5k", 2_500), ("1.50k", 1_500), ("0.25M", 250_000)]
    {
        assert_eq!(text.parse(), Ok(Count(count)), "{text}");
    }
    let wrong = [
        "",
        "k",
        "1K",
        "1.5",
        "1.0005k",
        ".5k",
        "1.k",
        "1..5k",
        "-1",
        "+1",
        " 1",
        "1 k",
        "18446744073709552k",
    ];
    is_rejected::<Count>(&wrong, "a whole number");
}

#[test]
fn rates_are_exact_to_a_thousandth() {
    for (text, rate) in [("0.5", 0.5), ("100", 100.0), ("2.5k", 2_500.0), ("0.001", 0.001), ("1M", 1e6)] {
        let parsed: Rate = text.parse().unwrap();
        assert!((parsed.per_second() - rate).abs() < 1e-9, "{text}");
    }
    is_rejected::<Rate>(&["", "0.0001", "1/s", "-2", "1e3", "inf", "NaN"], "a rate");
}

#[test]
fn what_a_rate_brings_in_a_period_is_rounded_up() {
    let rate: Rate = "2.5".parse().unwrap();
    for (period, expected) in [("0s", 0), ("1ns", 1), ("2s", 5), ("3s", 8), ("10m", 1_500)] {
        assert_eq!(rate.within(period.parse().unwrap()), expected, "{period}");
    }
    assert_eq!(Rate::from_thousandths(u64::MAX).within(Period::from_ns(u64::MAX)), u64::MAX);
}

#[test]
fn lengths_of_time_have_a_unit() {
    for (text, ns) in [
        ("1ns", 1),
        ("500us", 500_000),
        ("100ms", 100_000_000),
        ("1.5s", 1_500_000_000),
        ("2m", 120_000_000_000),
        ("0.5h", 1_800_000_000_000),
    ] {
        assert_eq!(text.parse(), Ok(Period::from_ns(ns)), "{text}");
    }
    let wrong = ["", "0", "10", "s", "1 s", "1sec", "1.5ns", "1s500ms", "-1s", "99999999999h"];
    is_rejected::<Period>(&wrong, "a length of time");
}

#[test]
fn sizes_have_decimal_and_binary_units() {
    for (text, octets) in [
        ("20", 20),
        ("128B", 128),
        ("1kB", 1_000),
        ("1KiB", 1_024),
        ("1.5KiB", 1_536),
        ("2MB", 2_000_000),
        ("1MiB", 1 << 20),
        ("1GiB", 1 << 30),
    ] {
        assert_eq!(text.parse(), Ok(Size(octets)), "{text}");
    }
    is_rejected::<Size>(&["", "B", "1k", "1KB", "1kb", "1mib", "1.3B", "-1"], "a size");
}

#[test]
fn values_are_written_as_people_write_them() {
    let written = |text: &str| text.parse::<Period>().unwrap().to_string();
    for (text, expected) in [
        ("100ms", "100ms"),
        ("1000ms", "1s"),
        ("1500ms", "1.5s"),
        ("0.0025s", "2.5ms"),
        ("90s", "90s"),
        ("60s", "1m"),
        ("0h", "0s"),
    ] {
        assert_eq!(written(text), expected);
    }
    assert_eq!(Count(2_500).to_string(), "2.5k");
    assert_eq!(Count(1_234).to_string(), "1234");
    assert_eq!(Rate::from_thousandths(500).to_string(), "0.5");
    assert_eq!(Rate::from_thousandths(100_000_000).to_string(), "100k");
    assert_eq!(Size(20).to_string(), "20");
    assert_eq!(Size(1_024).to_string(), "1KiB");
    assert_eq!(Size(1_000).to_string(), "1kB");
}

#[test]
fn a_segment_size_is_one_that_the_kernel_takes() {
    assert_eq!("1460".parse(), Ok(Mss(1460)));
    assert_eq!("1460B".parse(), Ok(Mss(1460)));
    is_rejected::<Mss>(&["", "87", "32768", "1460x", "4294967384"], "a segment size from 88 to 32767");
}

#[test]
fn a_network_in_ipv4_is_without_its_own_address_and_its_broadcast() {
    for (text, written, count) in [
        ("127.0.0.1", "127.0.0.1", 1),
        ("127.0.0.1-127.0.0.10", "127.0.0.1-127.0.0.10", 10),
        ("127.0.0.0/24", "127.0.0.1-127.0.0.254", 254),
        ("10.1.2.77/30", "10.1.2.77-10.1.2.78", 2),
        ("10.1.2.76/31", "10.1.2.76-10.1.2.77", 2),
        ("10.1.2.77/32", "10.1.2.77", 1),
        ("0.0.0.0/0", "0.0.0.1-255.255.255.254", (1 << 32) - 2),
        ("::1", "::1", 1),
        ("fd00::10/124", "fd00::10-fd00::1f", 16),
    ] {
        let range: SourceAddresses = text.parse().unwrap();
        assert_eq!(range.to_string(), written);
        assert_eq!(range.count(), count, "{text}");
    }
    assert_eq!("::/0".parse::<SourceAddresses>().unwrap().count(), u128::MAX);
    let wrong =
        ["", "localhost", "127.0.0.1/33", "127.0.0.9-127.0.0.1", "127.0.0.1-::1", "127.0.0.1-", "::/129"];
    is_rejected::<SourceAddresses>(&wrong, "an address or a range");
}
