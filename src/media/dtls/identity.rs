//! Our certificate for DTLS: self-signed, since its fingerprint in SDP is all that says whose it is (RFC 5763 §5).

use crate::sdp::{Fingerprint, fingerprint::HashFunction};
use std::{
    fmt,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use time::OffsetDateTime;
use webrtc_dtls::crypto::{Certificate, CryptoPrivateKey};
use x509_parser::prelude::{FromDer as _, Pem, X509Certificate};
use zeroize::Zeroizing;

/// The file in the data directory: private key and certificate, PEM.
const FILE: &str = "dtls-identity.pem";

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long a new certificate is valid.
const VALID: Duration = DAY.saturating_mul(2 * 365);
/// With less time left than this it is replaced: nobody restarts a server every month.
const RENEW: Duration = DAY.saturating_mul(180);
/// How far a peer's clock may be behind ours.
const SKEW: Duration = DAY;
/// A file of ours has about a tenth of that.
const MOST_OCTETS: u64 = 64 * 1024;

/// An ECDSA key on P-256 and its certificate. `Debug` shows the fingerprint alone.
pub struct Identity {
    certificate: Certificate,
    fingerprints: Vec<Fingerprint>,
    expires: SystemTime,
}

/// Why there is no identity. The text says which file and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The file or its directory cannot be read or written.
    #[error("{path}: cannot {what}: {source}; the server needs to write there to keep its DTLS certificate", path = path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Others than its owner can read the private key.
    #[error(
        "{path}: mode {mode:03o} lets others read the private key; remove the file to get a new certificate, or, if nobody \
         has read it, set its mode to 600", path = path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is not what we write.
    #[error("{path}: {what}; remove the file to get a new certificate", path = path.display())]
    Content {
        /// What is wrong with it.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// No key or certificate could be made.
    #[error("no DTLS certificate could be made: {0}")]
    Make(String),
}

impl Identity {
    /// The identity kept in this directory, made anew when there is none or when it soon ends. The directory is made if need
    /// be. `now` is wall-clock time.
    ///
    /// # Errors
    /// When file or directory cannot be used; a file that cannot be used is left as it is.
    pub fn load_or_make(directory: &Path, now: SystemTime) -> Result<Self, IdentityError> {
        let path = directory.join(FILE);
        if let Some(identity) = Self::load(&path)? {
            if !identity.ends_soon(now) {
                return Ok(identity);
            }
            tracing::info!(file = %path.display(), "the DTLS certificate ends soon: a new one is made");
        }
        let (identity, pem) = Self::make(now)?;
        store(directory, &path, &pem)?;
        Ok(identity)
    }
    /// An identity that is kept nowhere: for a server without a data directory, and for tests.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn ephemeral(now: SystemTime) -> Result<Self, IdentityError> {
        Self::make(now).map(|(identity, _)| identity)
    }
    /// What our descriptions say: one line, sha-256 as RFC 8122 §5 asks of everyone.
    pub fn fingerprints(&self) -> &[Fingerprint] {
        &self.fingerprints
    }
    /// Whether it is time for a new one. Calls that have begun keep theirs.
    pub fn ends_soon(&self, now: SystemTime) -> bool {
        now + RENEW > self.expires
    }
    pub(super) fn certificate(&self) -> Certificate {
        self.certificate.clone()
    }

    fn make(now: SystemTime) -> Result<(Self, Zeroizing<String>), IdentityError> {
        let failed = |error: rcgen::Error| IdentityError::Make(error.to_string());
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let mut params = rcgen::CertificateParams::new(Vec::new()).map_err(failed)?;
        // Says nothing of host or user (RFC 8827 §6.5).
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "b2bua");
        params.not_before = date(now.checked_sub(SKEW).unwrap_or(now));
        params.not_after = date(now + VALID);
        let certificate = params.self_signed(&key).map_err(failed)?;
        let pem = Zeroizing::new(key.serialize_pem() + &certificate.pem());
        let made = Self::new(&key, certificate.der().to_vec())
            .ok_or_else(|| IdentityError::Make("the certificate made cannot be read".to_owned()))?;
        Ok((made, pem))
    }
    /// `None`: the key is not one for us, or the certificate is not one.
    fn new(key: &rcgen::KeyPair, der: Vec<u8>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(&der).ok()?;
        if parsed.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
            return None;
        }
        let expires = u64::try_from(parsed.validity().not_after.timestamp()).ok()?;
        let expires = UNIX_EPOCH + Duration::from_secs(expires);
        let fingerprints = vec![fingerprint(HashFunction::Sha256, &der)];
        let certificate = Certificate {
            private_key: CryptoPrivateKey::from_key_pair(key).ok()?,
            certificate: vec![der.into()],
        };
        Some(Self {
            certificate,
            fingerprints,
            expires,
        })
    }
    fn load(path: &Path) -> Result<Option<Self>, IdentityError> {
        let failed = |source| IdentityError::Io {
            what: "read",
            path: path.to_owned(),
            source,
        };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mode = file.metadata().map_err(failed)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            let path = path.to_owned();
            return Err(IdentityError::Exposed { path, mode });
        }
        let mut pem = Zeroizing::new(Vec::new());
        file.take(MOST_OCTETS).read_to_end(&mut pem).map_err(failed)?;
        let wrong = |what| IdentityError::Content {
            what,
            path: path.to_owned(),
        };
        let (mut key, mut der) = (None, None);
        for block in Pem::iter_from_buffer(&pem) {
            let block = block.map_err(|_| wrong("not PEM"))?;
            match block.label.as_str() {
                "PRIVATE KEY" => key = Some(Zeroizing::new(block.contents)),
                "CERTIFICATE" => der = Some(block.contents),
                _ => {}
            }
        }
        let key = key.ok_or_else(|| wrong("no private key in it"))?;
        let der = der.ok_or_else(|| wrong("no certificate in it"))?;
        let key = rcgen::KeyPair::try_from(key.as_slice())
            .ok()
            .filter(|key| key.is_compatible(&rcgen::PKCS_ECDSA_P256_SHA256))
            .ok_or_else(|| wrong("the private key is not an ECDSA one on P-256"))?;
        let identity =
            Self::new(&key, der).ok_or_else(|| wrong("key and certificate do not belong together"))?;
        Ok(Some(identity))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("fingerprints", &self.fingerprints)
            .finish_non_exhaustive()
    }
}

fn date(at: SystemTime) -> OffsetDateTime {
    OffsetDateTime::from(at)
}

/// Written beside its place and moved there: a crash leaves the old file or the new one.
fn store(directory: &Path, path: &Path, pem: &str) -> Result<(), IdentityError> {
    let failed = |what, path: &Path| {
        let path = path.to_owned();
        move |source| IdentityError::Io { what, path, source }
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(failed("make the directory", directory))?;
    let beside = directory.join(format!(".{FILE}.{}", std::process::id()));
    // Left behind by a crash, of a process that had our number.
    let _ = fs::remove_file(&beside);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .map_err(failed("write", &beside))?;
    let written = file.write_all(pem.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written.map_err(failed("write", &beside))?;
    fs::rename(&beside, path).map_err(failed("write", path))?;
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(failed("write", directory))
}

/// The fingerprint of a certificate in DER.
pub(super) fn fingerprint(hash: HashFunction, der: &[u8]) -> Fingerprint {
    use sha1::Digest as _;
    let value = match hash {
        HashFunction::Sha1 => sha1::Sha1::digest(der).to_vec(),
        HashFunction::Sha224 => sha2::Sha224::digest(der).to_vec(),
        HashFunction::Sha256 => sha2::Sha256::digest(der).to_vec(),
        HashFunction::Sha384 => sha2::Sha384::digest(der).to_vec(),
        HashFunction::Sha512 => sha2::Sha512::digest(der).to_vec(),
    };
    Fingerprint { hash, value }
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
