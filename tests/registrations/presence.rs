//! Kamailio as who knows of mailboxes (its presence server, with `presence_mwi`): digest with a nonce that does not live long, short
//! subscriptions, and what is published to it.

use super::{
    kamailio::Kamailio,
    server::{start_with, until},
};
use b2bua::{
    app::{
        AccountKey, Application, Bound, BuildError, Decision, Failure, FailureKind, Invite, MailboxPlan,
        Origin, Registrations, Services, Standalone,
    },
    config::Key,
    sip::{
        Status, Uri,
        auth::{Credentials, Secret},
    },
};
use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    sync::{Arc, Mutex},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// Hears news, and passes them on to nobody.
struct Listener(Arc<Mutex<Vec<(String, String)>>>);

impl Application for Listener {
    const NAME: &'static str = "listener";
    const HELP: &'static str = "Listens.";
    const KEYS: &'static [Key] = &[];
    type Config = ();
    type Call = ();

    async fn build((): (), _: &Services) -> Result<Self, BuildError> {
        Err(BuildError(Vec::new()))
    }
    async fn route(&self, (): &mut (), _: &Invite) -> Decision {
        Decision::Decline(Failure::new(Status::DECLINE, Origin::App, FailureKind::Declined))
    }
    async fn route_standalone(&self, request: &Standalone) -> Decision {
        let whose = request.mailbox.as_ref().map(|(_, account)| account.to_string());
        let body = String::from_utf8_lossy(&request.request.body).into_owned();
        let mut heard = self.0.lock().expect("no panic");
        heard.push((whose.unwrap_or_default(), body));
        Decision::Decline(request.refusal())
    }
}

/// Somebody has left a message.
fn publish(to: SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let own = socket.local_addr().expect("bound");
    let body = "Messages-Waiting: yes\r\nVoice-Message: 2/8 (0/2)\r\n";
    let request = format!(
        "PUBLISH sip:user@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKpublish\r\nMax-Forwards: 70\r\n\
         From: <sip:user@{to}>;tag=p\r\nTo: <sip:user@{to}>\r\nCall-ID: publish@{own}\r\nCSeq: 1 PUBLISH\r\n\
         Event: message-summary\r\nExpires: 600\r\nContent-Type: application/simple-message-summary\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket.send_to(request.as_bytes(), to).expect("sent");
    let mut buffer = [0; 4096];
    let (length, _) = socket.recv_from(&mut buffer).expect("an answer");
    let answer = String::from_utf8_lossy(&buffer[..length]);
    assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kamailio_keeps_a_subscription_and_tells_what_is_published_to_it() {
    let home = tempfile::tempdir().expect("a temporary folder");
    for table in ["version", "presentity", "active_watchers", "watchers"] {
        let shipped = format!("/usr/share/kamailio/dbtext/kamailio/{table}");
        fs::copy(&shipped, home.path().join(table)).expect("Kamailio's tables: tests/run packages");
    }
    let kamailio = Kamailio::configured(home, CONFIG);
    assert!(
        until(PATIENCE, || kamailio.said("the mailboxes are up") > 0).await,
        "{}",
        kamailio.everything()
    );
    let heard = Arc::new(Mutex::new(Vec::new()));
    let registrations = Registrations::default();
    let server = start_with(registrations.clone(), Bound::new(Listener(heard.clone()))).await;
    let credentials = Credentials {
        username: "user".to_owned(),
        realm: Some("example.org".to_owned()),
        secret: Secret::Clear("secret".to_owned()),
    };
    let uri = |text: String| Uri::parse(text).expect("a URI");
    let plan = MailboxPlan::new(
        uri("sip:user@example.org".to_owned()),
        uri(format!("sip:user@{}", kamailio.address)),
        Some(Arc::new(credentials)),
    );
    let key = AccountKey::new("pool", "user");
    registrations.watch_mailboxes("pool", vec![(key.clone(), plan)]);
    let status = || {
        registrations
            .mailboxes()
            .status(&key)
            .map(|status| status.to_string())
    };
    assert!(
        until(PATIENCE, || status().as_deref() == Some("subscribed")).await,
        "{:?}\n{}",
        status(),
        kamailio.everything()
    );
    publish(kamailio.address);
    let has_news = || {
        heard
            .lock()
            .expect("no panic")
            .iter()
            .any(|(_, body)| body.contains("2/8 (0/2)"))
    };
    assert!(until(PATIENCE, has_news).await, "{}", kamailio.everything());
    assert!(
        heard
            .lock()
            .expect("no panic")
            .iter()
            .all(|(whose, _)| whose == "user")
    );
    // It grants 4 s, so that a refresh comes each 2 to 3.6 s; a nonce lives for 3 s.
    assert!(
        until(PATIENCE, || kamailio.said("granted 2") >= 3).await,
        "{}",
        kamailio.everything()
    );
    assert_eq!(
        kamailio.said("granted 1"),
        1,
        "one subscription, refreshed\n{}",
        kamailio.everything()
    );
    assert_eq!(status().as_deref(), Some("subscribed"));
    assert_eq!(server.gauges().mailboxes.now(), 1);
    server.drain().await;
    assert!(
        until(PATIENCE, || kamailio.said("ended") == 1).await,
        "{}",
        kamailio.everything()
    );
    assert!(kamailio.said("notified 200") >= 4, "{}", kamailio.everything());
    assert_eq!(kamailio.said("notified 4"), 0, "{}", kamailio.everything());
}

/// A SUBSCRIBE with a To tag is a refresh: `granted 2`.
const CONFIG: &str = r#"
debug=2
log_stderror=yes
children=1
auto_aliases=no
enable_tls=no
disable_tcp=yes
listen=udp:LISTEN
loadmodule "pv.so"
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "rr.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "xlog.so"
loadmodule "auth.so"
loadmodule "db_text.so"
loadmodule "presence.so"
loadmodule "presence_mwi.so"
modparam("auth", "qop", "auth")
modparam("auth", "nonce_expire", 3)
modparam("presence", "db_url", "text://HOME")
modparam("presence", "server_address", "sip:LISTEN")
modparam("presence", "max_expires", 4)
modparam("presence", "min_expires", 1)
modparam("presence", "min_expires_action", 2)
modparam("presence", "subs_db_mode", 0)
event_route[core:worker-one-init] { xlog("L_ERR", "the mailboxes are up\n"); }
event_route[presence:notify-reply] { xlog("L_ERR", "notified $notify_reply($rs)\n"); }
request_route {
    if (is_method("PUBLISH")) { handle_publish(); exit; }
    if (!is_method("SUBSCRIBE")) { sl_send_reply("405", "Method Not Allowed"); exit; }
    if (!pv_www_authenticate("example.org", "secret", "0")) { www_challenge("example.org", "1"); exit; }
    consume_credentials();
    if ($hdr(Expires) == "0") { xlog("L_ERR", "ended\n"); }
    else if (has_totag()) { xlog("L_ERR", "granted 2\n"); }
    else { xlog("L_ERR", "granted 1\n"); }
    handle_subscribe();
    exit;
}
"#;
