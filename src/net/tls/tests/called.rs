//! Servers that are not ours: who they must prove to be, and for whom their connections are used again.

use super::*;

/// A server that is not ours, and the name that it says it heard.
async fn server(files: &TlsFiles) -> (SocketAddr, mpsc::Receiver<Option<String>>) {
    let acceptor = files.acceptor(now(), &mut Vec::new()).expect("good files");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let (said, heard) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, said) = (TlsAcceptor::from(acceptor.0.clone()), said.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let name = stream.get_ref().1.server_name().map(str::to_owned);
                let mut bytes = vec![0; OPTIONS.len()];
                while stream.read_exact(&mut bytes).await.is_ok() {
                    assert_eq!(bytes, OPTIONS.as_bytes());
                    let _ = said.send(name.clone()).await;
                }
            });
        }
    });
    (address, heard)
}

fn to(remote: SocketAddr, name: &str) -> Transmit {
    Transmit {
        bytes: Bytes::from_static(OPTIONS.as_bytes()),
        to: Destination::Target(Target {
            transport: Transport::Tls,
            remote,
            server_name: Some(name.to_owned()),
            local: remote.ip(),
            sent_by: "127.0.0.1:5061".into(),
            fixed_transport: true,
            own: None,
        }),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_server_has_to_be_of_the_domain_that_the_uri_names() {
    let (ours, strangers) = (Authority::new("ours"), Authority::new("strangers"));
    let own = ours.issue("own", &[dns("b2bua.example")], |_| {});
    let (net, mut events, _) = listening(security(&own, &own)).await;
    let web = [dns("sip.example.org"), dns("*.wild.example")];
    let domain = [uri("sip:example.org"), dns("host.example.org")];
    let user = [uri("sip:alice@example.org"), dns("host.example.org")];
    let rows: [(&Authority, &[SanType], &str, bool); 9] = [
        (&ours, &web, "sip.example.org", true),
        (&ours, &web, "SIP.Example.ORG", true),
        (&ours, &web, "a.wild.example", true),
        (&ours, &web, "example.org", false),
        (&ours, &domain, "example.org", true),
        // RFC 5922 §7.1: where it names SIP domains, its DNS names do not count.
        (&ours, &domain, "host.example.org", false),
        (&ours, &user, "example.org", false),
        (&ours, &user, "host.example.org", true),
        (&strangers, &web, "sip.example.org", false),
    ];
    for (row, (authority, names, asked, good)) in rows.into_iter().enumerate() {
        let files = authority.issue(&format!("row{row}"), names, |_| {});
        let (address, mut heard) = server(&files).await;
        net.send(to(address, asked));
        if good {
            #[expect(clippy::disallowed_methods, reason = "sockets are watched in real time")]
            let name = timeout(PATIENCE, heard.recv())
                .await
                .expect("in time")
                .expect("alive");
            assert!(name.expect("SNI").eq_ignore_ascii_case(asked), "row {row}");
        } else {
            let event = next(&mut events).await;
            assert!(
                matches!(event, NetEvent::Undeliverable(_)),
                "row {row}: {event:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_connection_is_used_again_for_its_domain_and_for_no_other() {
    let ours = Authority::new("ours");
    let own = ours.issue("own", &[dns("b2bua.example")], |_| {});
    let (net, _events, _) = listening(security(&own, &own)).await;
    let files = ours.issue("both", &[dns("one.example"), dns("two.example")], |_| {});
    let (address, mut heard) = server(&files).await;
    for (name, connections) in [("one.example", 1), ("one.example", 1), ("two.example", 2)] {
        net.send(to(address, name));
        #[expect(clippy::disallowed_methods, reason = "sockets are watched in real time")]
        let got = timeout(PATIENCE, heard.recv())
            .await
            .expect("in time")
            .expect("alive");
        assert_eq!(got.as_deref(), Some(name));
        assert_eq!(net.connections(), connections);
    }
}

/// Proxies name themselves by their address in Record-Route, and have certificates for their domains.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_is_named_by_an_address_alone_is_reached_where_somebody_has_been_proved_and_nowhere_else() {
    let ours = Authority::new("ours");
    let own = ours.issue("own", &[dns("b2bua.example")], |_| {});
    let (net, mut events, _) = listening(security(&own, &own)).await;
    let files = ours.issue("domain", &[dns("one.example")], |_| {});
    let (address, mut heard) = server(&files).await;
    let literal = || {
        let mut transmit = to(address, "");
        if let Destination::Target(target) = &mut transmit.to {
            target.server_name = None;
        }
        transmit
    };
    net.send(literal());
    assert!(matches!(next(&mut events).await, NetEvent::Undeliverable(_)));
    for transmit in [to(address, "one.example"), literal()] {
        net.send(transmit);
        #[expect(clippy::disallowed_methods, reason = "sockets are watched in real time")]
        let got = timeout(PATIENCE, heard.recv())
            .await
            .expect("in time")
            .expect("alive");
        assert_eq!(got.as_deref(), Some("one.example"));
        assert_eq!(net.connections(), 1);
    }
    // A domain that was not asked for is not reached by it.
    net.send(to(address, "two.example"));
    assert!(matches!(next(&mut events).await, NetEvent::Undeliverable(_)));
}
