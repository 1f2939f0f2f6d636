use std::net::TcpListener;

use super::*;

#[test]
fn a_server_is_reached_at_the_address_that_takes_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // The name may have addresses of both families, of which one listens.
    let url: Url = format!("ws://localhost:{}/x", address.port()).parse().unwrap();
    let target = Target::Remote(Remote::reach(&url, Some(7)).unwrap());
    assert_eq!(target.address(), address);
    assert_eq!(target.authority(), format!("localhost:{}", address.port()));
    assert_eq!((target.path(), target.pid()), (Some("/x"), Some(7)));
}

#[test]
fn a_server_that_does_not_listen_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url: Url = format!("ws://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let error = Remote::reach(&url, None).unwrap_err();
    assert!(matches!(error, ReachError::Unreachable { .. }));
    assert!(error.to_string().contains(&url.to_string()), "{error}");
}
