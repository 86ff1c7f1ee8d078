//! Who may use an endpoint.

/// Who may use an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody, under every host name: health checks and metrics.
    Anybody,
    /// Everybody who names a permitted host.
    NamedHost,
    /// Callers that [`JsonAccess`] permits, and callers with the token; requests that refund or peek require the token.
    Charging,
    /// Callers with the token, and every caller if there is no token and only this machine can connect.
    Clients,
    /// Callers with the token.
    Token,
}

/// Who may charge by `POST /json` without the token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JsonAccess {
    /// This machine.
    #[default]
    ThisMachine,
    /// Everybody.
    Everybody,
    /// Nobody.
    Nobody,
}

impl Access {
    /// When a caller needs the token, for the documentation.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anybody | Self::NamedHost => "",
            Self::Charging => "from other hosts, to refund or peek, and with --json-token",
            Self::Clients => "unless weir has none and listens on loopback",
            Self::Token => "yes",
        }
    }
}
