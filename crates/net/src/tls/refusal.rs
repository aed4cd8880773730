//! What an error of TLS means for who must act.

use std::io;

use crosstie_core::{Error, Kind};
use rustls::{AlertDescription, CertificateError, Error as Tls};

/// The same error as one of input and output.
pub(super) fn carried(error: Tls) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// An error of reading, writing or a handshake in words, if it is one of TLS: [`Kind::Denied`] where a certificate is not believed or missing, else
/// [`Kind::Protocol`].
pub fn told(error: &io::Error) -> Option<Error> {
    let error = error.get_ref()?.downcast_ref::<Tls>()?;
    let (kind, text) = match error {
        Tls::InvalidCertificate(why) => (Kind::Denied, certificate(why)),
        Tls::NoCertificatesPresented => (
            Kind::Denied,
            "the client has shown no certificate, and nobody is let in without one: it needs 'cert=' and 'key='",
        ),
        Tls::AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired => {
                (Kind::Denied, "the server lets in nobody without a certificate: name one with 'cert=' and 'key='")
            }
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRevoked
            | AlertDescription::DecryptError
            | AlertDescription::AccessDenied => (Kind::Denied, "the other side has refused our certificate"),
            AlertDescription::ProtocolVersion => {
                (Kind::Protocol, "the other side does not speak TLS 1.3, and nothing older is spoken here")
            }
            _ => (Kind::Protocol, "the other side has ended TLS"),
        },
        Tls::InvalidMessage(_) => (Kind::Protocol, "the other side does not speak TLS, or what it said was changed"),
        Tls::DecryptError => (Kind::Protocol, "what came was changed on the way"),
        Tls::PeerIncompatible(_) => {
            (Kind::Protocol, "the two sides have no TLS in common: TLS 1.3 is spoken here, and nothing older")
        }
        _ => (Kind::Protocol, "TLS has failed"),
    };
    Some(Error::new(kind, text).because(error.clone()))
}

fn certificate(why: &CertificateError) -> &'static str {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the other side's certificate has expired: it needs a new one"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the other side's certificate is not in force yet: compare the clocks of the two machines"
        }
        CertificateError::UnknownIssuer => {
            "the other side's certificate is signed by nobody who is trusted here: name its authority with 'ca='"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate is for another name: connect to one of its names, or say which with 'name='"
        }
        _ => "the other side's certificate is not accepted",
    }
}
