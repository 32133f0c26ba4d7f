//! What TLS is done with: certificates, keys, authorities. TLS 1.2 and 1.3 (RFC 5246, RFC 8446), on aws-lc-rs.
//!
//! The provider of cryptography is named wherever a configuration is built: what a process has as its default is
//! somebody else's choice.

mod session;
#[cfg(test)]
mod tests;
mod verifier;

pub(super) use session::Session;

use rustls::{
    ClientConfig, DEFAULT_VERSIONS, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
    sign::{CertifiedKey, SingleCertAndKey},
};
use std::{
    fmt, fs,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, LazyLock},
    time::SystemTime,
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};
use zeroize::Zeroizing;

/// Whose certificate must be good. Those of servers that we call are checked unless it is [`Self::Nobody`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// Nobody's: what is sent is encrypted, and who reads it unknown.
    Nobody,
    /// That of a server that we call.
    #[default]
    Servers,
    /// Callers are asked for one too, and may have none.
    Optional,
    /// Callers without one are refused.
    Required,
}

impl FromStr for Verify {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        match word.to_ascii_lowercase().as_str() {
            "none" => Ok(Self::Nobody),
            "servers" => Ok(Self::Servers),
            "optional" => Ok(Self::Optional),
            "required" => Ok(Self::Required),
            _ => Err(()),
        }
    }
}

/// What the configuration names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// `tls-certificate`: our certificate first, then those that lead to its authority.
    pub certificate: Option<PathBuf>,
    /// `tls-key`; without it the key stands in the file of the certificate.
    pub key: Option<PathBuf>,
    /// `tls-ca`: the authorities that are believed; without it those of the machine, and for callers none.
    pub authorities: Option<PathBuf>,
    /// `tls-verify`.
    pub verify: Verify,
}

/// Something about a file that the configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFault {
    /// `tls-certificate`, `tls-key` or `tls-ca`.
    pub key: &'static str,
    /// The file, and what is wrong with it.
    pub what: String,
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.what)
    }
}

/// How connections to one listening address are taken.
#[derive(Clone)]
pub struct Acceptor(pub(super) Arc<ServerConfig>);

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Acceptor")
    }
}

/// How connections of ours are opened.
#[derive(Clone)]
pub struct Connector(Arc<LazyLock<Arc<ClientConfig>, Build>>);

/// The machine's authorities are read when somebody is called by TLS, not at every start.
type Build = Box<dyn FnOnce() -> Arc<ClientConfig> + Send>;

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl Connector {
    pub(super) fn config(&self) -> Arc<ClientConfig> {
        (**self.0).clone()
    }
}

/// What TLS and WebSocket are done with until the next reload; connections that exist keep what they began with.
#[derive(Clone, Debug, Default)]
pub struct Security {
    /// By the order of the listening addresses; `None` for those without TLS.
    pub acceptors: Vec<Option<Acceptor>>,
    /// For connections of ours; without one nobody is called by TLS.
    pub connector: Option<Connector>,
    /// Web pages whose scripts may open a WebSocket (`https://phone.example.org`), or `*`. Who is no browser names none,
    /// and is let in.
    pub origins: Vec<String>,
}

fn provider() -> Arc<CryptoProvider> {
    static ONE: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));
    ONE.clone()
}

impl TlsFiles {
    /// Reads what a listening address needs. What is no reason to refuse it is added to `remarks`.
    ///
    /// # Errors
    /// All that is wrong with the files.
    pub fn acceptor(&self, now: SystemTime, remarks: &mut Vec<TlsFault>) -> Result<Acceptor, Vec<TlsFault>> {
        let mut faults = Vec::new();
        let own = self.own(now, &mut faults, remarks);
        let asks = matches!(self.verify, Verify::Optional | Verify::Required);
        let roots = match &self.authorities {
            Some(file) if asks => authorities(file).map_err(|fault| faults.push(fault)).ok(),
            None if asks => {
                let what =
                    "callers' certificates are asked for (tls-verify), and no authority for them is named";
                faults.push(fault("tls-ca", what.into()));
                None
            }
            _ => None,
        };
        if own.is_none() && faults.is_empty() {
            let what = "TLS is listened for, and no certificate is named".into();
            faults.push(fault("tls-certificate", what));
        }
        let (Some(own), true) = (own, faults.is_empty()) else {
            return Err(faults);
        };
        acceptor(own, roots, self.verify)
            .map(Acceptor)
            .map_err(|what| vec![fault("tls-ca", what)])
    }
    /// Reads what connections of ours need. What is no reason to refuse it is added to `remarks`.
    ///
    /// # Errors
    /// All that is wrong with the files.
    pub fn connector(
        &self,
        now: SystemTime,
        remarks: &mut Vec<TlsFault>,
    ) -> Result<Connector, Vec<TlsFault>> {
        let mut faults = Vec::new();
        let own = self.own(now, &mut faults, remarks);
        let roots = match &self.authorities {
            Some(file) => authorities(file).map_err(|fault| faults.push(fault)).ok(),
            None => None,
        };
        if !faults.is_empty() {
            return Err(faults);
        }
        let verify = self.verify;
        let build: Build = Box::new(move || {
            let roots = roots.unwrap_or_else(of_the_machine);
            let builder = ClientConfig::builder_with_provider(provider())
                .with_protocol_versions(DEFAULT_VERSIONS)
                .expect("the provider has suites for both versions")
                .dangerous()
                .with_custom_certificate_verifier(verifier::of(roots, verify, &provider()));
            Arc::new(match own {
                Some(own) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own))),
                None => builder.with_no_client_auth(),
            })
        });
        Ok(Connector(Arc::new(LazyLock::new(build))))
    }
    /// Our certificate with its key, when one is named and nothing is wrong with it.
    fn own(
        &self,
        now: SystemTime,
        faults: &mut Vec<TlsFault>,
        remarks: &mut Vec<TlsFault>,
    ) -> Option<CertifiedKey> {
        let Some(file) = &self.certificate else {
            if let Some(key) = &self.key {
                let what = format!("{} is a key without a certificate", key.display());
                faults.push(fault("tls-certificate", what));
            }
            return None;
        };
        let chain = certificates(file, "tls-certificate").map_err(|fault| faults.push(fault));
        let key_file = self.key.as_ref().unwrap_or(file);
        let key = key(key_file).map_err(|fault| faults.push(fault));
        let (chain, key) = (chain.ok()?, key.ok()?);
        if let Some(what) = validity(&chain, now) {
            remarks.push(fault("tls-certificate", format!("{} {what}", file.display())));
        }
        let own = CertifiedKey::new(chain, key);
        match own.keys_match() {
            Ok(()) => Some(own),
            Err(error) => {
                let what = match error {
                    rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch) => {
                        format!("{} is not the key of {}", key_file.display(), file.display())
                    }
                    other => format!("{}: {other}", file.display()),
                };
                faults.push(fault("tls-key", what));
                None
            }
        }
    }
}

/// Takes connections with a certificate made for now: a port that is opened at need has to show one, and its peer has been
/// told no name that it could check.
pub(super) fn ephemeral() -> Option<Acceptor> {
    let made = rcgen::generate_simple_self_signed(["b2bua.invalid".to_owned()]).ok()?;
    let key = PrivateKeyDer::try_from(made.key_pair.serialize_der()).ok()?;
    let key = provider().key_provider.load_private_key(key).ok()?;
    let own = CertifiedKey::new(vec![made.cert.der().clone()], key);
    acceptor(own, None, Verify::Servers).ok().map(Acceptor)
}

fn acceptor(
    own: CertifiedKey,
    roots: Option<RootCertStore>,
    verify: Verify,
) -> Result<Arc<ServerConfig>, String> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(DEFAULT_VERSIONS)
        .map_err(|error| error.to_string())?;
    let builder = match roots {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let callers = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
            let callers = match verify {
                Verify::Required => callers,
                _ => callers.allow_unauthenticated(),
            };
            builder.with_client_cert_verifier(callers.build().map_err(|error| error.to_string())?)
        }
    };
    Ok(Arc::new(
        builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(own))),
    ))
}

fn fault(key: &'static str, what: String) -> TlsFault {
    TlsFault { key, what }
}

fn read(file: &Path, key: &'static str) -> Result<Zeroizing<Vec<u8>>, TlsFault> {
    let bytes = fs::read(file);
    bytes
        .map(Zeroizing::new)
        .map_err(|error| fault(key, format!("{} cannot be read: {error}", file.display())))
}

fn certificates(file: &Path, key: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let bytes = read(file, key)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let wrong = |what: String| Err(fault(key, format!("{} {what}", file.display())));
    match found {
        Err(error) => wrong(format!("is not PEM: {error}")),
        Ok(chain) if chain.is_empty() => wrong("holds no certificate in PEM (BEGIN CERTIFICATE)".into()),
        Ok(chain) => {
            let broken = chain.iter().position(|it| X509Certificate::from_der(it).is_err());
            match broken {
                Some(at) => wrong(format!(
                    "holds something that is no certificate, number {}",
                    at + 1
                )),
                None => Ok(chain),
            }
        }
    }
}

fn key(file: &Path) -> Result<Arc<dyn rustls::sign::SigningKey>, TlsFault> {
    let bytes = read(file, "tls-key")?;
    let wrong = |what: String| fault("tls-key", format!("{} {what}", file.display()));
    let der = PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => {
            wrong("holds no unencrypted private key in PEM (BEGIN PRIVATE KEY)".into())
        }
        // The text of other errors may show the line that they are about.
        _ => wrong("is not PEM".into()),
    })?;
    let loaded = provider().key_provider.load_private_key(der);
    loaded.map_err(|error| wrong(format!("holds a key that cannot be used: {error}")))
}

fn authorities(file: &Path) -> Result<RootCertStore, TlsFault> {
    let mut roots = RootCertStore::empty();
    for (index, authority) in certificates(file, "tls-ca")?.into_iter().enumerate() {
        let added = roots.add(authority);
        added.map_err(|error| {
            let what = format!("{}, certificate {}: {error}", file.display(), index + 1);
            fault("tls-ca", what)
        })?;
    }
    Ok(roots)
}

/// The authorities that the machine's operator trusts.
fn of_the_machine() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "reading the machine's certificate authorities");
    }
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        tracing::warn!(
            "the machine has no certificate authorities: no server's certificate can be believed; name some in tls-ca"
        );
    }
    roots
}

/// What is wrong with the time of our certificate.
fn validity(chain: &[CertificateDer<'_>], now: SystemTime) -> Option<String> {
    let (_, own) = X509Certificate::from_der(chain.first()?).ok()?;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    let now = i64::try_from(now).ok()?;
    let validity = own.validity();
    if now > validity.not_after.timestamp() {
        Some(format!(
            "has expired ({}): who checks it will not talk to us",
            validity.not_after
        ))
    } else if now < validity.not_before.timestamp() {
        Some(format!("is not valid before {}", validity.not_before))
    } else {
        None
    }
}
