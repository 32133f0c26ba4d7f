//! Whether a server is who the URI says (RFC 5922 §7).

use super::Verify;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use std::sync::Arc;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

/// Believes `roots`, unless it is told to believe anybody.
pub(super) fn of(
    roots: RootCertStore,
    verify: Verify,
    provider: &CryptoProvider,
) -> Arc<dyn ServerCertVerifier> {
    Arc::new(Verifier {
        roots: (verify != Verify::Nobody).then_some(roots),
        algorithms: provider.signature_verification_algorithms,
    })
}

#[derive(Debug)]
struct Verifier {
    /// `None`: whatever is shown is good.
    roots: Option<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(roots) = &self.roots else {
            return Ok(ServerCertVerified::assertion());
        };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            roots,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        let ServerName::DnsName(name) = server_name else {
            verify_server_name(&certificate, server_name)?;
            return Ok(ServerCertVerified::assertion());
        };
        let domains = domains(end_entity);
        if domains.is_empty() {
            // A certificate of before RFC 5922, or one of the web.
            verify_server_name(&certificate, server_name)?;
        } else if !domains
            .iter()
            .any(|domain| domain.eq_ignore_ascii_case(name.as_ref()))
        {
            return Err(CertificateError::NotValidForNameContext {
                expected: server_name.to_owned(),
                presented: domains,
            }
            .into());
        }
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The SIP domains that a certificate names (RFC 5922 §7.1): `sip` URIs of a host and no user. Where there are some, its
/// DNS names are of something else.
fn domains(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
        return Vec::new();
    };
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let uris = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let hosts = uris.filter_map(|uri| {
        let (scheme, rest) = uri.split_once(':')?;
        let host = rest.split([';', '?', ':']).next().unwrap_or(rest);
        (scheme.eq_ignore_ascii_case("sip") && !rest.contains('@')).then(|| host.to_owned())
    });
    hosts.collect()
}
