//! What a carrier does, and a scenario of SIPp's that does it.

use std::net::Ipv4Addr;

use Step::{Ack, Bye, Cancel, HungUp, Pause, Say};

/// What a carrier does, in order, once it has been invited.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// A response that begins like this, with these header fields, and a description whose first line of media is this.
    Say(&'static str, &'static str, Option<&'static str>),
    /// The ACK comes.
    Ack,
    /// Nothing for so many milliseconds.
    Pause(u32),
    /// The CANCEL comes.
    Cancel,
    /// It hangs up, with these header fields.
    Bye(&'static str),
    /// It is hung up on.
    HungUp,
}

const LAST: &str = "[last_Via:]\n[last_Record-Route:]\n[last_From:]\n[last_To:];tag=[pid]c[call_number]\n\
                    [last_Call-ID:]\n[last_CSeq:]\nContact: <sip:bob@[local_ip]:[local_port]>\n";
const DONE: &str = "SIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\n\
                    Content-Length: 0\n\n";

/// The steps in SIPp's words.
pub(super) fn scenario(name: &str, steps: &[Step]) -> String {
    let send = |text: &str, retrans: bool| {
        let retrans = if retrans { " retrans=\"500\"" } else { "" };
        format!("<send{retrans}><![CDATA[\n{text}\n]]></send>\n")
    };
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<scenario name=\"{name}\">\n<recv request=\"INVITE\" rrs=\"true\">\n\
         <action><ereg regexp=\".*\" search_in=\"hdr\" header=\"From:\" check_it=\"true\" assign_to=\"caller\"/>\n\
         <ereg regexp=\".*\" search_in=\"hdr\" header=\"CSeq:\" check_it=\"true\" assign_to=\"cseq\"/></action></recv>\n"
    );
    for step in steps {
        out += &match step {
            Say("INVITE", field, _) => format!(
                "<recv request=\"INVITE\"><action><ereg regexp=\".+\" search_in=\"hdr\" header=\"{field}:\" \
                 check_it=\"true\" assign_to=\"cseq\"/></action></recv>\n"
            ),
            Say(status, fields, media) => {
                let fields = if fields.is_empty() {
                    String::new()
                } else {
                    format!("{fields}\n")
                };
                // The INVITE's answer, also where the CANCEL was the last to come.
                let last = if status.starts_with("487") {
                    LAST.replace("[last_CSeq:]", "CSeq:[$cseq]")
                } else {
                    LAST.to_owned()
                };
                let body = media.map_or("Content-Length: 0\n\n".to_owned(), |media| {
                    let (v4, host) = ("IN IP4", Ipv4Addr::new(203, 0, 113, 2));
                    format!(
                        "Content-Type: application/sdp\nContent-Length: [len]\n\n\
                         v=0\no=- 1 1 {v4} {host}\ns=-\nc={v4} {host}\nt=0 0\n{media}\na=rtpmap:0 PCMU/8000\n"
                    )
                });
                send(
                    &format!("SIP/2.0 {status}\n{last}{fields}{body}"),
                    !status.starts_with('1'),
                )
            }
            Ack => "<recv request=\"ACK\"/>\n".to_owned(),
            Pause(time) => format!("<pause milliseconds=\"{time}\"/>\n"),
            Cancel => format!("<recv request=\"CANCEL\"/>\n{}", send(DONE, false)),
            Bye(fields) => format!(
                "{}<recv response=\"200\"/>\n",
                send(
                    &format!(
                        "BYE [next_url] SIP/2.0\nVia: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n\
                         [routes]\nFrom: <sip:bob@carrier.test>;tag=[pid]c[call_number]\nTo:[$caller]\n\
                         Call-ID: [call_id]\nCSeq: 8 BYE\nMax-Forwards: 70\n{fields}\nContent-Length: 0\n\n"
                    ),
                    true
                )
            ),
            HungUp => format!("<recv request=\"BYE\"/>\n{}", send(DONE, false)),
        };
    }
    out + "<Reference variables=\"caller,cseq\"/>\n</scenario>\n"
}
