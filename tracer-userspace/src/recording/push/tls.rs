//! TLS: whom to trust, and what it means when that fails.

use std::error::Error;
use std::io;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use hyper_rustls::ConfigBuilderExt;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, RootCertStore};

use super::answer::{Answer, Help};

/// Whose signature makes a collector's certificate good.
#[derive(Clone, Debug, Default)]
pub enum Authorities {
    /// Those that this host knows.
    #[default]
    Host,
    /// These and no others.
    Given(Arc<RootCertStore>),
}

impl Authorities {
    /// Those whose certificates stand in a file (PEM).
    ///
    /// # Errors
    ///
    /// When there is none in it, or one is none.
    pub fn of_pem(pem: &[u8]) -> Result<Self> {
        let mut store = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.context("a certificate in it cannot be read (PEM is wanted)")?;
            store.add(certificate).context("a certificate in it is no authority's")?;
        }
        ensure!(
            !store.is_empty(),
            "there is no certificate in it; PEM is wanted, which has lines -----BEGIN CERTIFICATE-----"
        );
        Ok(Self::Given(Arc::new(store)))
    }
}

/// The client's settings.
///
/// # Errors
///
/// When TLS is wanted and this host has no certificates of authorities.
pub fn settings(is_tls: bool, authorities: &Authorities) -> Result<ClientConfig> {
    let builder = ClientConfig::builder();
    let builder = match authorities {
        Authorities::Given(store) => builder.with_root_certificates(Arc::clone(store)),
        Authorities::Host if is_tls => builder.with_native_roots().context(
            "this host has no certificates of authorities that a collector's could be checked by; the package \
             ca-certificates brings them, or name a file that has them with --push-ca",
        )?,
        Authorities::Host => builder.with_root_certificates(RootCertStore::empty()),
    };
    Ok(builder.with_no_client_auth())
}

/// What a failure of TLS means, if that is what is behind an error. Trying again does not help, until somebody changes something.
pub fn answer(error: &(dyn Error + 'static)) -> Option<Answer> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref() {
            return told(error);
        }
        // What an error of input and output holds is not told as its source.
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match held {
            Some(held) => Some(held as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

fn told(error: &rustls::Error) -> Option<Answer> {
    let why = match error {
        rustls::Error::InvalidCertificate(error) => certificate(error),
        rustls::Error::InvalidMessage(_) => {
            "what answers there does not speak TLS; the address without TLS begins with …+http:// or otlp+grpc://"
                .to_owned()
        }
        rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired) => {
            "it wants a certificate of the client's, and tracer has none; a collector on this host can forward with one"
                .to_owned()
        }
        _ => return None,
    };
    Some(Answer::Refused { why, help: Help::None })
}

fn certificate(error: &CertificateError) -> String {
    let advice = match error {
        CertificateError::UnknownIssuer => {
            "nobody whom this host trusts has signed it: give the authority's certificate with --push-ca FILE"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "push to a name that it is for"
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => "renew it, or set this host's clock",
        _ => "have it replaced, or give its authority's with --push-ca FILE",
    };
    format!("the collector's certificate is not accepted ({error}); {advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_tls_is_found_wherever_it_is_wrapped() {
        let unknown = || rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let wrapped = io::Error::other(io::Error::other(unknown()));
        for error in [&unknown() as &(dyn Error + 'static), &wrapped] {
            let Some(Answer::Refused { why, help: Help::None }) = answer(error) else { panic!("{error}") };
            assert!(why.contains("--push-ca"), "{why}");
        }
        assert_eq!(answer(&io::Error::from(io::ErrorKind::ConnectionRefused)), None);
        assert_eq!(answer(&io::Error::other(rustls::Error::HandshakeNotComplete)), None);
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let said = |pem: &[u8]| Authorities::of_pem(pem).unwrap_err().to_string();
        assert!(said(b"").contains("BEGIN CERTIFICATE"));
        assert!(
            said(b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n").contains("cannot be read")
        );
        let none = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(said(none).contains("no authority"), "{}", said(none));
    }
}
