//! PROXY headers: what stands in front of everything else on a connection from a proxy.
#![no_main]

use fanwire_wire::limits::MAX_PROXY_HEADER_BYTES;
use fanwire_wire::proxy::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let whole = parse(octets);
    // Octets that come later decide nothing that was decided before.
    let decided = (0..=octets.len()).map(|cut| parse(&octets[..cut])).find(|outcome| *outcome != Ok(None));
    assert_eq!(decided.unwrap_or(Ok(None)), whole);
    if let Ok(Some((source, length))) = whole {
        assert!(length <= octets.len() && length <= MAX_PROXY_HEADER_BYTES);
        assert_eq!(parse(&octets[..length]), Ok(Some((source, length))), "what follows does not matter");
    }
});
