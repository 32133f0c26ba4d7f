//! Trunks of accounts that a database names are asked whether they are there.

use crate::{
    rig::{PATIENCE, Setup, sqlite},
    table::{CREATE, row, run},
};
use std::{net::UdpSocket, time::Duration};

#[test]
fn the_way_of_an_account_that_a_database_names_after_the_start_is_asked() {
    let trunk = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let mut setup = Setup::new(trunk.local_addr().expect("bound"), "");
    let path = setup.path("accounts.db");
    setup.loader = sqlite(&path);
    setup.registers = false;
    setup.qualify = Some(5);
    setup.more = "accounts-poll-interval=1\n".to_owned();
    run(&path, &[CREATE.to_owned()]);
    let server = setup.start();
    server.until_logged("accounts read");
    let mut bytes = [0; 2048];
    trunk
        .set_read_timeout(Some(Duration::from_secs(1)))
        .expect("a time");
    assert!(trunk.recv(&mut bytes).is_err(), "of no account there is no way");
    run(&path, &[row("one", "secret")]);
    trunk.set_read_timeout(Some(PATIENCE)).expect("a time");
    let length = trunk.recv(&mut bytes).expect("a question");
    let text = String::from_utf8_lossy(&bytes[..length]);
    assert!(text.starts_with("OPTIONS sip:127.0.0.1:"), "{text}");
}
