//! Running out of file descriptors.

use std::process::Command;

use crate::support::{HttpClient, Process};

#[test]
fn without_file_descriptors_it_serves_on_says_so_once_and_accepts_when_one_is_free() {
    const LIMIT: usize = 64;
    const COMPLAINT: &str = "no file descriptors left";
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -n {LIMIT}; exec \"$0\" \"$@\"")]);
    let mut process = Process::start_with(shell, &[]);

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
