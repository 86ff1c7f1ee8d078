//! A certificate authority, and the certificates that it issues.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, SanType, date_time_ymd,
};

/// A certificate authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The private key, in PKCS#8.
    pub key: String,
}

impl Authority {
    /// An authority that nobody has certified.
    ///
    /// # Panics
    /// When there is no randomness.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "every authority has a key of its own"
    )]
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(authority("an authority"), key).unwrap())
    }

    /// An authority that this one has certified.
    ///
    /// # Panics
    /// When there is no randomness.
    #[must_use]
    pub fn intermediate(&self) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = authority("an intermediate authority");
        Self(CertifiedIssuer::signed_by(params, key, &self.0).unwrap())
    }

    /// The authority's own certificate, in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for servers and clients with these DNS names, addresses and URIs.
    ///
    /// # Panics
    /// When a name is none of these.
    #[must_use]
    pub fn issue(&self, names: &[&str]) -> Issued {
        self.issue_until(names, 2099)
    }

    /// The same, which expires at the beginning of a year.
    ///
    /// # Panics
    /// When a name is none of these.
    #[must_use]
    pub fn issue_until(&self, names: &[&str], year: i32) -> Issued {
        let (uris, names): (Vec<&str>, Vec<&str>) =
            names.iter().partition(|name| name.contains("://"));
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let mut params = CertificateParams::new(names).unwrap();
        for uri in uris {
            let name = SanType::URI(uri.try_into().unwrap());
            params.subject_alt_names.push(name);
        }
        params.not_after = date_time_ymd(year, 1, 1);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().unwrap();
        Issued {
            certificate: params.signed_by(&key, &self.0).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
