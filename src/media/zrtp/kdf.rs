//! From the shared secrets to keys (RFC 6189 §4.4.1.4, §4.4.3.2, §4.5).

use super::algorithm::{Choice, Hash};
use super::digest::SecretBytes;
use super::{SrtpKey, Zid};
use zeroize::Zeroizing;

/// The key derivation function of RFC 6189 §4.5.1. `length` in octets, at most the hash's.
pub(super) fn kdf(hash: Hash, key: &[u8], label: &str, context: &[u8], length: usize) -> SecretBytes {
    let bits = (length as u32 * 8).to_be_bytes();
    let mut derived = hash.mac(
        key,
        &[&1_u32.to_be_bytes(), label.as_bytes(), &[0], context, &bits],
    );
    debug_assert!(length <= derived.len(), "one HMAC gives no more");
    derived.truncate(length);
    derived
}

/// `ZIDi ‖ ZIDr ‖ total_hash`.
pub(super) struct Context(Vec<u8>);

impl Context {
    /// The context of one exchange; `messages` are what total_hash covers: the responder's Hello, Commit and, in DH
    /// mode, both DHParts.
    pub(super) fn new(hash: Hash, initiator: Zid, responder: Zid, messages: &[&[u8]]) -> Self {
        Self([&initiator.0[..], &responder.0, &hash.digest(messages)].concat())
    }

    /// s0 of a DH exchange (§4.4.1.4). `shared` are s1, s2, s3; a missing one is empty.
    pub(super) fn s0_from_dh(&self, hash: Hash, dh_result: &[u8], shared: [&[u8]; 3]) -> SecretBytes {
        let lengths = shared.map(|secret| (secret.len() as u32).to_be_bytes());
        let [s1, s2, s3] = shared;
        let [l1, l2, l3] = &lengths;
        hash.digest(&[
            &1_u32.to_be_bytes(),
            dh_result,
            b"ZRTP-HMAC-KDF",
            &self.0,
            l1,
            s1,
            l2,
            s2,
            l3,
            s3,
        ])
    }

    /// s0 of a further stream (§4.4.3.2).
    pub(super) fn s0_from_session(&self, hash: Hash, session: &[u8]) -> SecretBytes {
        kdf(hash, session, "ZRTP MSK", &self.0, hash.length())
    }
}

/// What is derived for one side.
pub(super) struct Half {
    /// Of Confirm and GoClear.
    pub(super) mac_key: SecretBytes,
    /// Of what a Confirm says.
    pub(super) zrtp_key: SecretBytes,
    /// Of its media.
    pub(super) srtp: SrtpKey,
}

/// All that comes from s0.
pub(super) struct Keys {
    /// What was agreed on.
    pub(super) choice: Choice,
    /// The initiator's.
    pub(super) initiator: Half,
    /// The responder's.
    pub(super) responder: Half,
    /// ZRTPSess, from which further streams get theirs.
    pub(super) session: SecretBytes,
    /// The first 32 bits of sashash.
    pub(super) sas_value: [u8; 4],
    /// The next rs1.
    pub(super) retained: Zeroizing<[u8; 32]>,
}

impl Keys {
    /// Derives everything at once (§4.5.2, §4.5.3, §4.6.1); s0 is not needed after.
    pub(super) fn derive(choice: Choice, s0: &[u8], context: &Context) -> Self {
        let hash = choice.hash;
        let derive = |label: &str, length: usize| kdf(hash, s0, label, &context.0, length);
        let half = |side: &str| {
            let suite = choice.suite();
            let mut master = Zeroizing::new(Vec::with_capacity(suite.master_length()));
            master.extend_from_slice(&derive(&format!("{side} SRTP master key"), suite.key_length()));
            master.extend_from_slice(&derive(&format!("{side} SRTP master salt"), suite.salt_length()));
            Half {
                mac_key: derive(&format!("{side} HMAC key"), hash.length()),
                zrtp_key: derive(&format!("{side} ZRTP key"), choice.cipher.key_length()),
                srtp: SrtpKey {
                    suite,
                    master,
                    mki: None,
                },
            }
        };
        let sas = derive("SAS", 32);
        let retained = derive("retained secret", 32);
        Self {
            choice,
            initiator: half("Initiator"),
            responder: half("Responder"),
            session: derive("ZRTP Session Key", hash.length()),
            sas_value: *sas.first_chunk().expect("32 octets were asked for"),
            retained: Zeroizing::new(*retained.first_chunk().expect("32 octets were asked for")),
        }
    }
}

#[cfg(test)]
mod tests;
