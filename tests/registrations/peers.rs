//! Who may call because an account is registered there; and what is left at the end.

use super::{
    registrar::Listening,
    server::{account, start, until},
};
use b2bua::{app::Registrations, sip::auth::Secret, testing::Registrar};
use std::{
    net::{SocketAddr, UdpSocket},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// The code that an INVITE from that socket gets first, but for 100.
pub(crate) fn call(socket: &UdpSocket, server: SocketAddr, branch: &str) -> String {
    let own = socket.local_addr().expect("bound");
    let invite = format!(
        "INVITE sip:user@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{branch}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:outside@{own}>;tag={branch}\r\nTo: <sip:user@example.org>\r\n\
         Call-ID: {branch}\r\nCSeq: 1 INVITE\r\nContact: <sip:{own}>\r\nContent-Length: 0\r\n\r\n"
    );
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket.send_to(invite.as_bytes(), server).expect("sent");
    let mut buffer = [0; 4096];
    loop {
        let (length, _) = socket.recv_from(&mut buffer).expect("an answer");
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let code = text.split(' ').nth(1).unwrap_or_default().to_owned();
        if text.starts_with("SIP/2.0") && text.contains(branch) && code != "100" {
            return code;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_registrars_host_may_call_while_an_account_is_registered_there_and_no_longer() {
    let registrar = Listening::start(Registrar::new("example.org", &[("user", "secret")]));
    let registrations = Registrations::default();
    let server = start(registrations.clone()).await;
    let address = server.local()[0].1;
    let there = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let elsewhere = UdpSocket::bind("127.0.0.2:0").expect("a port");
    assert_eq!(call(&there, address, "before"), "403");

    let (key, plan) = account("user", Secret::Clear("secret".to_owned()), registrar.address);
    registrations.set("pool", vec![(key.clone(), plan)]);
    let status = || registrations.status(&key).map(|status| status.to_string());
    assert!(
        until(PATIENCE, || status().as_deref() == Some("OK")).await,
        "{:?}",
        status()
    );
    assert_eq!(
        call(&there, address, "registered"),
        "480",
        "the application was asked"
    );
    assert_eq!(call(&elsewhere, address, "stranger"), "403");
    let contact = registrar.with(|registrar| registrar.bindings["sip:user@example.org"].0.clone());
    assert_eq!(contact, format!("sip:user@{address}"));

    registrations.set("pool", Vec::new());
    let bound = || registrar.with(|registrar| registrar.bindings.len());
    assert!(until(PATIENCE, || bound() == 0).await);
    assert_eq!(status(), None);
    assert_eq!(call(&there, address, "after"), "403");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ends_takes_its_bindings_with_it_but_for_those_that_are_to_stay() {
    let registrar = Listening::start(Registrar::new(
        "example.org",
        &[("goes", "secret"), ("stays", "secret")],
    ));
    // Each request is challenged anew.
    registrar.with(|registrar| registrar.nonce_uses = 1);
    let registrations = Registrations::default();
    let server = start(registrations.clone()).await;
    let secret = || Secret::Clear("secret".to_owned());
    let goes = account("goes", secret(), registrar.address);
    let mut stays = account("stays", secret(), registrar.address);
    stays.1.unregister = false;
    registrations.set("pool", vec![goes, stays]);
    assert!(until(PATIENCE, || server.gauges().registered.now() == 2).await);
    server.drain().await;
    registrar.with(|registrar| {
        let left: Vec<_> = registrar.bindings.keys().cloned().collect();
        assert_eq!(left, ["sip:stays@example.org"]);
        assert!(registrar.complaints.is_empty(), "{:#?}", registrar.complaints);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registrar_that_is_not_there_is_found_when_it_comes() {
    // Its port is taken, and closed again: the kernel says that nobody listens.
    let free = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let registrar = Listening::start(Registrar::new("example.org", &[("user", "secret")]));
    registrar.with(|registrar| registrar.silent = true);
    let registrations = Registrations::default();
    let server = start(registrations.clone()).await;
    let nobody = free.local_addr().expect("bound");
    drop(free);
    let (key, plan) = account("user", Secret::Clear("secret".to_owned()), registrar.address);
    let (other, lost) = account("lost", Secret::Clear("secret".to_owned()), nobody);
    registrations.set("pool", vec![(key.clone(), plan), (other.clone(), lost)]);
    assert!(until(PATIENCE, || registrar.with(|registrar| registrar.heard.len() > 1)).await);
    registrar.with(|registrar| registrar.silent = false);
    let status = || registrations.status(&key).map(|status| status.to_string());
    assert!(
        until(PATIENCE, || status().as_deref() == Some("OK")).await,
        "{:?}",
        status()
    );
    assert_ne!(
        registrations
            .status(&other)
            .map(|status| status.to_string())
            .as_deref(),
        Some("OK")
    );
    assert_eq!(server.gauges().registered.now(), 1);
}
