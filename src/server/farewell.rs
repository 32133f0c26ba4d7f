//! What is done for the parties of a call whose task has failed: a fault of ours costs one call, and nobody is left
//! waiting.

use super::standalone::{Answerer, reply};
use crate::{
    call::{Incoming, Side, Transmit},
    net::Net,
    sip::{Message, Method, Request, Status, Text, parse},
};

/// What is known of a call outside of its machine.
pub(super) struct Remains {
    /// The caller's INVITE.
    pub(super) invite: Incoming,
    /// Our tag towards the caller, once it has heard one.
    pub(super) tag: Option<Text>,
    /// The last INVITE towards a callee.
    pub(super) invited: Option<Transmit>,
}

impl Remains {
    pub(super) const fn new(invite: Incoming) -> Self {
        Self {
            invite,
            tag: None,
            invited: None,
        }
    }
    /// Ends what is left: a dialog by its BYE, an INVITE that has no answer yet by 500 or CANCEL.
    pub(super) fn bury(&self, net: &Net, answerer: &Answerer, byes: Vec<(Side, Transmit)>) {
        let has_bye = |side| byes.iter().any(|(of, _)| *of == side);
        let (a, b) = (has_bye(Side::A), has_bye(Side::B));
        if !a && let Message::Request(request) = &self.invite.message {
            let mut response = match &self.tag {
                Some(tag) => request.respond(Status::SERVER_INTERNAL_ERROR, Some(&tag.to_str())),
                None => request.respond(Status::SERVER_INTERNAL_ERROR, Some(&answerer.tag(request))),
            };
            response.headers.push("User-Agent", answerer.user_agent.clone());
            net.send(reply(request, &response, self.invite.source));
        }
        if !b
            && let Some(invited) = &self.invited
            && let Some(cancel) = cancel(invited)
        {
            net.send(cancel);
        }
        for (_, bye) in byes {
            net.send(bye);
        }
    }
}

/// The CANCEL of an INVITE (RFC 3261 §9.1).
fn cancel(invited: &Transmit) -> Option<Transmit> {
    let (Message::Request(invite), None) = parse::message(invited.bytes.clone()).ok()? else {
        return None;
    };
    let mut cancel = Request::new(Method::Cancel, invite.uri.clone());
    cancel.headers.push("Via", invite.headers.via().ok()?.to_text());
    for name in ["Route", "Max-Forwards", "From", "To", "Call-ID"] {
        cancel.headers.copy_from(&invite.headers, name);
    }
    let number = invite.headers.cseq().ok()?.number;
    cancel.headers.push("CSeq", format!("{number} CANCEL"));
    Some(Transmit {
        bytes: cancel.to_bytes(),
        to: invited.to.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        net::{Limits, Listen},
        sip::routing::{Destination, FlowId, Source, Target, Transport},
    };
    use bytes::Bytes;
    use std::{net::UdpSocket, time::Duration};

    fn hear(socket: &UdpSocket) -> String {
        let mut buffer = [0; 2048];
        let length = socket.recv(&mut buffer).expect("a message in time");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[tokio::test]
    async fn who_waits_for_an_answer_gets_500_and_who_rings_gets_cancel() {
        let party = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        party
            .set_read_timeout(Some(Duration::from_secs(5)))
            .expect("a valid time");
        let remote = party.local_addr().expect("bound");
        let (events, _events) = tokio::sync::mpsc::channel(1);
        let listen = Listen {
            transport: Transport::Udp,
            address: "127.0.0.1:0".parse().expect("an address"),
            advertised: None,
        };
        let net = Net::bind(&[listen], &[], Limits::default(), events)
            .await
            .expect("a free port");
        let invite = format!(
            "INVITE sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP {remote};branch=z9hG4bK1\r\nRoute: <sip:p;lr>\r\n\
             Max-Forwards: 70\r\nFrom: <sip:alice@example.org>;tag=a\r\nTo: <sip:bob@example.org>\r\nCall-ID: c\r\n\
             CSeq: 7 INVITE\r\nX-Other: y\r\nContent-Length: 0\r\n\r\n"
        );
        let bytes = Bytes::from(invite);
        let (message, fault) = parse::message(bytes.clone()).expect("an INVITE");
        assert_eq!(fault, None);
        let invite = Incoming {
            message,
            source: Source {
                transport: Transport::Udp,
                local: remote,
                remote,
                flow: FlowId(0),
            },
            sent_by: Text::default(),
            reached_by: Transport::Udp,
            own: None,
            trusted: true,
        };
        let target = Target {
            transport: Transport::Udp,
            remote,
            server_name: None,
            local: remote.ip(),
            sent_by: "127.0.0.1".into(),
            fixed_transport: false,
            own: None,
        };
        let mut remains = Remains::new(invite);
        remains.tag = Some("ours".into());
        remains.invited = Some(Transmit {
            bytes,
            to: Destination::Target(target),
        });
        let answerer = Answerer::new([0; 16], "test".into());
        remains.bury(&net, &answerer, Vec::new());
        let failed = hear(&party);
        assert!(failed.starts_with("SIP/2.0 500 "), "{failed}");
        assert!(
            failed.contains("To: <sip:bob@example.org>;tag=ours\r\n"),
            "{failed}"
        );
        let cancel = hear(&party);
        assert!(
            cancel.starts_with("CANCEL sip:bob@example.org SIP/2.0\r\n"),
            "{cancel}"
        );
        for line in ["CSeq: 7 CANCEL", ";branch=z9hG4bK1", "Route: <sip:p;lr>", "tag=a"] {
            assert!(cancel.contains(line), "{line} is not in {cancel}");
        }
        assert!(!cancel.contains("X-Other"));
    }
}
