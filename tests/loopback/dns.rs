//! A real DNS server: dnsmasq, with the records of a test.

use std::{
    net::UdpSocket,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

/// A running dnsmasq. Ended when dropped.
pub(crate) struct Dns {
    child: Child,
    pub(crate) port: u16,
}

impl Dns {
    /// Serves these records (options of dnsmasq) for `example.test`; knows nothing else.
    pub(crate) fn serving(records: &[String]) -> Self {
        for _ in 0..5 {
            let port = UdpSocket::bind("127.0.0.1:0")
                .and_then(|socket| socket.local_addr())
                .expect("a free port")
                .port();
            let child = Command::new("dnsmasq")
                .args([
                    "--no-daemon",
                    "--conf-file=/dev/null",
                    "--no-resolv",
                    "--no-hosts",
                    "--bind-interfaces",
                    "--listen-address=127.0.0.1",
                    "--pid-file=",
                    "--user=",
                    "--local=/example.test/",
                ])
                .arg(format!("--port={port}"))
                .args(records)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("dnsmasq is needed for this test: apt install dnsmasq-base");
            let mut dns = Self { child, port };
            if dns.answers() {
                return dns;
            }
        }
        panic!("dnsmasq does not answer");
    }
    /// Asks for the addresses of `example.test` until there is any answer.
    fn answers(&mut self) -> bool {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .expect("a valid time");
        let query =
            b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x04test\x00\x00\x01\x00\x01";
        for _ in 0..50 {
            // Refused until it listens.
            let _ = socket.send_to(query, ("127.0.0.1", self.port));
            if socket.recv(&mut [0; 512]).is_ok() {
                return true;
            }
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return false;
            }
            thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
