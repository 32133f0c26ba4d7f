//! What the SDPs on a wire say of its media: which ports, keyed how, with which keys.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use webrtc_srtp::context::Context;
use webrtc_srtp::protection_profile::ProtectionProfile;

use crate::Outcome;
use crate::sip_text::Message;

/// What an end has said of one of its media ports, in all its SDPs together.
#[derive(Default)]
pub(crate) struct Announced {
    pub(crate) profiles: Vec<String>,
    /// Suite and base64 key of each `a=crypto`.
    pub(crate) keys: Vec<(String, String)>,
}

/// All audio ports of the wire's SDPs, by address.
pub(crate) fn announced(messages: &[Message]) -> BTreeMap<SocketAddr, Announced> {
    announced_as("audio", messages)
}

/// All ports of the wire's SDPs for that kind of media, by address. Of several m-lines of a kind the first counts.
pub(crate) fn announced_as(kind: &str, messages: &[Message]) -> BTreeMap<SocketAddr, Announced> {
    let mut ends: BTreeMap<SocketAddr, Announced> = BTreeMap::new();
    for message in messages {
        let Some((session, media)) = message.body.split_once(&format!("m={kind} ")) else {
            continue;
        };
        let media = media.split("\r\nm=").next().unwrap_or_default();
        let address = |part: &str| -> Option<IpAddr> {
            let line = part.lines().find_map(|line| line.strip_prefix("c=IN IP"))?;
            line.get(2..)?.trim().parse().ok()
        };
        let mut words = media.split_whitespace();
        let port = words.next().and_then(|port| port.parse().ok());
        let profile = words.next().unwrap_or_default().to_owned();
        let (Some(ip), Some(port)) = (address(media).or_else(|| address(session)), port) else {
            continue;
        };
        if port == 0 {
            continue; // refused or taken out
        }
        let end = ends.entry(SocketAddr::new(ip, port)).or_default();
        end.profiles.push(profile);
        for line in media.lines().filter_map(|line| line.strip_prefix("a=crypto:")) {
            let mut words = line.split_whitespace().skip(1);
            let suite = words.next().unwrap_or_default().to_owned();
            let key = words
                .next()
                .and_then(|w| w.strip_prefix("inline:"))
                .unwrap_or_default();
            let key = key.split('|').next().unwrap_or_default().to_owned();
            if !end.keys.iter().any(|(_, known)| *known == key) {
                end.keys.push((suite, key));
            }
        }
    }
    ends
}

/// What decrypts each sender's packets: one context for each key that it has announced for `suite`.
pub(crate) fn contexts(
    announced: &BTreeMap<SocketAddr, Announced>,
    suite: &str,
) -> Outcome<BTreeMap<SocketAddr, Vec<Context>>> {
    let mut contexts: BTreeMap<SocketAddr, Vec<Context>> = BTreeMap::new();
    for (port, end) in announced {
        let contexts = contexts.entry(*port).or_default();
        for (_, key) in end.keys.iter().filter(|(name, _)| same_suite(name, suite)) {
            contexts.push(context(suite, key)?);
        }
    }
    Ok(contexts)
}

/// RFC 6188 says `AES_256_CM_…`, some clients say `AES_CM_256_…`.
fn same_suite(one: &str, other: &str) -> bool {
    let plain = |name: &str| name.to_ascii_uppercase().replace("AES_CM_256", "AES_256_CM");
    plain(one) == plain(other)
}

fn context(suite: &str, key: &str) -> Outcome<Context> {
    let profile = match suite {
        "AES_CM_128_HMAC_SHA1_80" => ProtectionProfile::Aes128CmHmacSha1_80,
        "AES_CM_128_HMAC_SHA1_32" => ProtectionProfile::Aes128CmHmacSha1_32,
        "AES_256_CM_HMAC_SHA1_80" => ProtectionProfile::Aes256CmHmacSha1_80,
        "AES_256_CM_HMAC_SHA1_32" => ProtectionProfile::Aes256CmHmacSha1_32,
        "AEAD_AES_128_GCM" => ProtectionProfile::AeadAes128Gcm,
        "AEAD_AES_256_GCM" => ProtectionProfile::AeadAes256Gcm,
        other => return Err(format!("the judge does not know the suite {other}")),
    };
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(key)
        .map_err(|e| format!("key {key:?}: {e}"))?;
    if bytes.len() != profile.key_len() + profile.salt_len() {
        return Err(format!("a key of {} bytes for {suite}", bytes.len()));
    }
    let (key, salt) = bytes.split_at(profile.key_len());
    Context::new(key, salt, profile, None, None).map_err(|e| format!("{suite}: {e}"))
}
