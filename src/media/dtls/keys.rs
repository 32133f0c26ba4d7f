//! SRTP keys from a DTLS association (RFC 5764 §4.2).

use super::{Role, SrtpKey, Suite};
use webrtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile as Profile;
use zeroize::Zeroizing;

/// Label of the exporter (RFC 5764 §4.2, RFC 5705).
pub(super) const LABEL: &str = "EXTRACTOR-dtls_srtp";

/// The keys of both directions, as one side has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DtlsKeys {
    /// What we seal with.
    pub send: SrtpKey,
    /// What the peer seals with.
    pub receive: SrtpKey,
}

/// The suites that DTLS-SRTP has code points for (RFC 5764 §4.1.2, RFC 7714 §14.2), in the order in which we offer them.
/// AES-256 in counter mode has none.
pub const SUITES: [Suite; 4] = [
    Suite::AeadAes128Gcm,
    Suite::AeadAes256Gcm,
    Suite::AesCm128HmacSha1_80,
    Suite::AesCm128HmacSha1_32,
];

/// The protection profile of a suite, `None` when it has none.
pub(super) const fn profile(suite: Suite) -> Option<Profile> {
    match suite {
        Suite::AesCm128HmacSha1_80 => Some(Profile::Srtp_Aes128_Cm_Hmac_Sha1_80),
        Suite::AesCm128HmacSha1_32 => Some(Profile::Srtp_Aes128_Cm_Hmac_Sha1_32),
        Suite::AeadAes128Gcm => Some(Profile::Srtp_Aead_Aes_128_Gcm),
        Suite::AeadAes256Gcm => Some(Profile::Srtp_Aead_Aes_256_Gcm),
        Suite::AesCm256HmacSha1_80 | Suite::AesCm256HmacSha1_32 => None,
    }
}

/// The suite of a protection profile.
pub(super) const fn suite(profile: Profile) -> Option<Suite> {
    match profile {
        Profile::Srtp_Aes128_Cm_Hmac_Sha1_80 => Some(Suite::AesCm128HmacSha1_80),
        Profile::Srtp_Aes128_Cm_Hmac_Sha1_32 => Some(Suite::AesCm128HmacSha1_32),
        Profile::Srtp_Aead_Aes_128_Gcm => Some(Suite::AeadAes128Gcm),
        Profile::Srtp_Aead_Aes_256_Gcm => Some(Suite::AeadAes256Gcm),
        Profile::Unsupported => None,
    }
}

/// Octets that [`split`] needs of the exporter.
pub(super) const fn exported_length(suite: Suite) -> usize {
    2 * suite.master_length()
}

/// Cuts what was exported: client's key, server's key, client's salt, server's salt. `None` when it is too short.
pub(super) fn split(suite: Suite, exported: &[u8], role: Role) -> Option<DtlsKeys> {
    let (client_key, rest) = exported.split_at_checked(suite.key_length())?;
    let (server_key, rest) = rest.split_at_checked(suite.key_length())?;
    let (client_salt, rest) = rest.split_at_checked(suite.salt_length())?;
    let server_salt = rest.get(..suite.salt_length())?;
    let master = |key: &[u8], salt: &[u8]| SrtpKey {
        suite,
        master: Zeroizing::new([key, salt].concat()),
        mki: None,
    };
    let client = master(client_key, client_salt);
    let server = master(server_key, server_salt);
    Some(match role {
        Role::Client => DtlsKeys {
            send: client,
            receive: server,
        },
        Role::Server => DtlsKeys {
            send: server,
            receive: client,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_the_rfcs() {
        for suite in SUITES {
            let exported: Vec<u8> = (0..exported_length(suite) as u8).collect();
            let (key, salt) = (suite.key_length() as u8, suite.salt_length() as u8);
            let keys = split(suite, &exported, Role::Client).unwrap();
            let client: Vec<u8> = (0..key).chain(2 * key..2 * key + salt).collect();
            let server: Vec<u8> = (key..2 * key).chain(2 * key + salt..2 * key + 2 * salt).collect();
            assert_eq!(*keys.send.master, client, "{suite}");
            assert_eq!(*keys.receive.master, server, "{suite}");
            let other = split(suite, &exported, Role::Server).unwrap();
            assert_eq!((other.send, other.receive), (keys.receive, keys.send));
            assert_eq!(split(suite, &exported[1..], Role::Client), None);
        }
    }

    #[test]
    fn each_suite_of_dtls_has_one_profile() {
        for each in Suite::ALL {
            let code = profile(each);
            assert_eq!(code.is_some(), SUITES.contains(&each), "{each}");
            assert_eq!(code.and_then(suite), code.map(|_| each));
        }
    }
}
