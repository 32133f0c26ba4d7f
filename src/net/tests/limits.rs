//! What a stranger may make us hold, and for how long.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_connects_and_says_nothing_is_cut() {
    let (net, _events, address) = bound(quick()).await;
    let took = closed_after(client(address)).await;
    assert!(took < Duration::from_secs(2), "{took:?}");
    until_connections(&net, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_dribbles_a_message_is_cut_however_steady_the_drops() {
    let (net, _events, address) = bound(quick()).await;
    let mut stream = client(address);
    let mut dripping = stream.try_clone().expect("a socket can be shared");
    let drops = tokio::task::spawn_blocking(move || {
        for byte in OPTIONS.as_bytes().chunks(1) {
            if dripping.write_all(byte).is_err() {
                return;
            }
            #[expect(clippy::disallowed_methods, reason = "a slow peer")]
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the whole message was taken");
    });
    stream.flush().expect("open");
    let took = closed_after(stream).await;
    assert!(took < Duration::from_secs(2), "{took:?}");
    drops.await.expect("cut before the end");
    until_connections(&net, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_connection_that_has_spoken_may_be_silent() {
    let (net, mut events, address) = bound(quick()).await;
    let mut stream = client(address);
    for _ in 0..3 {
        stream.write_all(OPTIONS.as_bytes()).expect("open");
        assert!(matches!(next(&mut events).await, NetEvent::Message(..)));
        #[expect(clippy::disallowed_methods, reason = "longer than any limit of this test")]
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(net.connections(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_idle_connection_is_closed() {
    let idle = Duration::from_millis(300);
    let (net, mut events, address) = bound(Limits { idle, ..quick() }).await;
    let mut stream = client(address);
    stream.write_all(OPTIONS.as_bytes()).expect("open");
    assert!(matches!(next(&mut events).await, NetEvent::Message(..)));
    let took = closed_after(stream).await;
    assert!(took >= Duration::from_millis(200), "{took:?}");
    until_connections(&net, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn one_source_has_no_more_connections_than_its_share() {
    let limits = Limits {
        per_source: 2,
        ..Limits::default()
    };
    let (net, mut events, address) = bound(limits).await;
    let mut kept = [client(address), client(address)];
    until_connections(&net, 2).await;
    closed_after(client(address)).await;
    for stream in &mut kept {
        stream.write_all(OPTIONS.as_bytes()).expect("open");
        assert!(matches!(next(&mut events).await, NetEvent::Message(..)));
    }
    drop(kept);
    until_connections(&net, 0).await;
    let _again = client(address);
    until_connections(&net, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn when_there_are_too_many_the_one_idle_longest_goes() {
    let limits = Limits {
        connections: 2,
        ..Limits::default()
    };
    let (net, mut events, address) = bound(limits).await;
    let oldest = client(address);
    until_connections(&net, 1).await;
    #[expect(clippy::disallowed_methods, reason = "one connection is older than the other")]
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut second = client(address);
    until_connections(&net, 2).await;
    let mut third = client(address);
    closed_after(oldest).await;
    for stream in [&mut second, &mut third] {
        stream.write_all(OPTIONS.as_bytes()).expect("open");
        assert!(matches!(next(&mut events).await, NetEvent::Message(..)));
    }
    assert_eq!(net.connections(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn strangers_that_say_nothing_push_out_each_other_and_nobody_who_has_spoken() {
    let limits = Limits {
        half_open: 8,
        ..Limits::default()
    };
    let (net, mut events, address) = bound(limits).await;
    let mut honest = client(address);
    honest.write_all(OPTIONS.as_bytes()).expect("open");
    next(&mut events).await;
    let silent: Vec<_> = (0..40).map(|_| client(address)).collect();
    until_connections(&net, 9).await;
    assert_eq!(net.half_open(), 8);
    // The oldest went, the newest are there.
    let [first, .., last] = &silent[..] else {
        panic!("40 of them");
    };
    let mut byte = [0];
    assert_eq!(
        first
            .try_clone()
            .expect("shared")
            .read(&mut byte)
            .expect("closed"),
        0
    );
    last.try_clone()
        .expect("shared")
        .write_all(OPTIONS.as_bytes())
        .expect("open");
    next(&mut events).await;
    assert_eq!(net.half_open(), 7);
    honest.write_all(OPTIONS.as_bytes()).expect("open");
    next(&mut events).await;
    assert_eq!(net.turned_away(), (0, 32));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_strangers_do_not_finish_has_a_bound_in_all() {
    let limits = Limits {
        unfinished: 64 * 1024,
        ..Limits::default()
    };
    let (net, _events, address) = bound(limits).await;
    let head = "OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 60000\r\n\r\n";
    let half = format!("{head}{}", "x".repeat(30_000));
    let mut dribbling: Vec<_> = (0..8).map(|_| client(address)).collect();
    for stream in &mut dribbling {
        let _ = stream.write_all(half.as_bytes());
    }
    until_connections(&net, 2).await;
    drop(dribbling);
    until_connections(&net, 0).await;
}
