//! Running out of file descriptors.

use std::process::Command;

use crate::support::{HttpClient, Process};

#[test]
fn without_file_descriptors_it_serves_on_says_so_once_and_accepts_when_one_is_free() {
    const LIMIT: usize = 64;
    const COMPLAINT: &str = "no file descriptors left";
    let mut process = Process::start(&[]);
    // There are no more connections than there were files for at the start: somebody else has to take these away.
    process.limit_files(LIMIT);

    let mut clients: Vec<_> = (0..LIMIT).map(|_| HttpClient::connect(process.address)).collect();
    process.next_line_with(COMPLAINT);
    assert_eq!(clients[0].get("/healthz").status, 200, "who is connected is served");
    let late = clients.split_off(LIMIT / 2);
    drop(clients);
    for mut client in late {
        assert_eq!(client.get("/healthz").status, 200, "who waited is accepted");
    }
    process.signal("-KILL");
    assert!(!process.rest_of_log().contains(COMPLAINT), "once is enough");
}

#[test]
fn by_default_it_takes_as_many_connections_as_it_has_file_descriptors_for_and_says_so_to_others() {
    const LIMIT: usize = 256;
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -n {LIMIT}; exec \"$0\" \"$@\"")]);
    let mut process = Process::start_with(shell, &[]);
    let mut clients: Vec<_> = (0..LIMIT / 2).map(|_| HttpClient::connect(process.address)).collect();
    assert!(clients.iter_mut().all(|client| client.get("/healthz").status == 200), "half of them are left");
    let mut more: Vec<_> = (0..LIMIT).map(|_| HttpClient::connect(process.address)).collect();
    let refused =
        more.iter_mut().any(|client| client.response_or_end().is_some_and(|response| response.status == 503));
    assert!(refused, "who is not let in is told so");
    assert!(
        clients.iter_mut().all(|client| client.get("/healthz").status == 200),
        "who is connected is served"
    );
    process.signal("-KILL");
    assert!(!process.rest_of_log().contains("no file descriptors left"));
}

#[test]
fn what_many_cores_need_for_themselves_is_not_promised_to_connections() {
    const LIMIT: usize = 1024;
    const CORES: usize = 16;
    const TOLD_AT_ONCE: usize = 16 * CORES;
    let mut shell = Command::new("sh");
    // In place of the two cores of other tests.
    shell.args(["-c", &format!("ulimit -n {LIMIT}; shift 2; exec \"$0\" --cores {CORES} \"$@\"")]);
    let process = Process::start_with(shell, &["--listen", "127.0.0.1:0"].repeat(3));
    let own_files = process.open_files();
    assert!(own_files > 6 * CORES, "a poll, a waker and four addresses for each");
    let mut connections = Vec::new();
    let room = (0..LIMIT).find(|_| {
        let mut client = HttpClient::connect(process.address);
        let is_refused = client.get("/nothing").status == 503;
        connections.push(client);
        is_refused
    });
    let room = room.expect("there is a limit");
    assert!(own_files + room + TOLD_AT_ONCE <= LIMIT, "{own_files} files and {room} connections");
}
