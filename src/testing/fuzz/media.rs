//! Targets of media: packets without and with keys, and flows.

use crate::media::{
    SrtpKey, Suite,
    packet::Packet,
    relay,
    srtp::{SrtpIn, SrtpOut},
};

/// Any datagram: RTP and RTCP headers, compound RTCP.
pub fn rtp_demux(data: &[u8]) {
    relay::fuzz::demux(data);
}

/// Signalling and packets for one stream, in any order.
pub fn relay_flow(data: &[u8]) {
    relay::fuzz::flow(data);
}

/// SRTP and SRTCP: what a stranger sends changes nothing, what we seal is opened.
pub fn srtp(data: &[u8]) {
    let Some((&choice, data)) = data.split_first() else {
        return;
    };
    let suite = Suite::ALL[usize::from(choice) % Suite::ALL.len()];
    let mki = (choice & 0x40 != 0).then(|| vec![7; 3]);
    let key = SrtpKey {
        suite,
        master: vec![5; suite.master_length()].into(),
        mki,
    };
    let (Ok(mut out), Ok(mut context)) = (SrtpOut::new(&key), SrtpIn::new(&key)) else {
        panic!("a key of the right length is taken");
    };
    let mut packet = Packet::new();
    let mut genuine = |context: &mut SrtpIn, sequence: u8| {
        packet.fill(&[0x80, 0, 0, sequence, 0, 0, 0, sequence, 1, 2, 3, 4, 9, 9, 9]);
        assert_eq!(out.seal_rtp(&mut packet), Ok(()));
        assert!(
            context.open_rtp(&mut packet).is_ok(),
            "the next genuine packet is opened"
        );
    };
    genuine(&mut context, 1);
    let mut forged = Packet::new();
    forged.fill(data);
    let taken = context.open_rtp(&mut forged).is_ok();
    forged.fill(data);
    let _ = context.open_rtcp(&mut forged);
    if !taken {
        genuine(&mut context, 2);
    }
    let (Ok(mut out), Ok(mut context)) = (SrtpOut::new(&key), SrtpIn::new(&key)) else {
        return;
    };
    forged.fill(data);
    if out.seal_rtp(&mut forged).is_ok() {
        assert!(context.open_rtp(&mut forged).is_ok());
        assert_eq!(forged.bytes(), data);
    }
    forged.fill(data);
    if out.seal_rtcp(&mut forged).is_ok() {
        assert!(context.open_rtcp(&mut forged).is_ok());
        assert_eq!(forged.bytes(), data);
    }
}
