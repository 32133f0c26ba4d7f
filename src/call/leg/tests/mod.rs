//! Legs on virtual time.

mod calls;

use crate::sdp::Sdp;

/// A description that is told apart by its port.
fn sdp(port: u16) -> Sdp {
    let text = format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
    );
    Sdp::parse(text.as_bytes()).expect("SDP")
}
