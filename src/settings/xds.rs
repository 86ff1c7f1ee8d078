//! Flags for a configuration server.

use clap::Args;
use clap::builder::BoolishValueParser;

use super::size;
use super::tls::tls_client_args;
use crate::client::TlsOptions;
use crate::xds::XdsConfig;

/// How to talk to a configuration server.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Configuration server")]
pub struct XdsArgs {
    /// node.id that the configuration server knows
    #[arg(
        long,
        value_name = "ID",
        env = "WEIR_XDS_NODE_ID",
        default_value = "weir"
    )]
    xds_node_id: String,

    /// node.metadata, as NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE", env = "WEIR_XDS_NODE_METADATA", value_delimiter = ',', value_parser = pair)]
    xds_node_metadata: Vec<NamedValue>,

    /// Header field to send with the stream, as NAME=VALUE
    #[arg(
        long,
        value_name = "NAME=VALUE",
        env = "WEIR_XDS_HEADER",
        hide_env_values = true,
        value_delimiter = ',',
        value_parser = pair
    )]
    xds_header: Vec<NamedValue>,

    /// Connect with TLS
    #[arg(long, env = "WEIR_XDS_TLS", value_parser = BoolishValueParser::new())]
    xds_tls: bool,

    #[command(flatten)]
    tls_files: XdsTlsArgs,

    /// Longest configuration that is accepted, in bytes or with a unit
    #[arg(
        long,
        value_name = "BYTES",
        env = "WEIR_XDS_MAX_MESSAGE",
        default_value = "64MiB",
        value_parser = size::message
    )]
    xds_max_message: usize,
}

tls_client_args! {
    /// The flags for TLS to a configuration server, as given.
    struct XdsTlsArgs { flags: "xds-", variables: "WEIR_XDS_", server: "the configuration server" }
}

/// A name and its value.
type NamedValue = (String, String);

impl XdsArgs {
    /// How to reach a server. Files for TLS imply it.
    pub fn resolve(self, server: String) -> XdsConfig {
        let tls = self.tls_files.options();
        XdsConfig {
            server,
            node_id: self.xds_node_id,
            node_metadata: self.xds_node_metadata,
            headers: self.xds_header,
            tls: (self.xds_tls || tls != TlsOptions::default()).then_some(tls),
            max_message_bytes: self.xds_max_message,
            ..XdsConfig::default()
        }
    }
}

/// `HOST:PORT` of a configuration server.
///
/// # Errors
/// If it has another form.
pub fn xds_server(text: &str) -> Result<String, &'static str> {
    match text.parse() {
        Ok(crate::server::ListenConfig::Tcp(address)) if !address.starts_with(':') => Ok(address),
        _ => Err("expected HOST:PORT, such as envoy-gateway:18001"),
    }
}

fn pair(text: &str) -> Result<NamedValue, &'static str> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = pair.ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Xds {
        #[command(flatten)]
        args: XdsArgs,
    }

    fn resolve(flags: &[&str]) -> Result<XdsConfig, clap::Error> {
        let args = Xds::try_parse_from(["weir"].iter().chain(flags))?.args;
        Ok(args.resolve("eg:18001".to_owned()))
    }

    #[test]
    fn a_bare_address_is_asked_in_plaintext() {
        let config = resolve(&[]).unwrap();
        assert_eq!(
            (config.server.as_str(), config.node_id.as_str()),
            ("eg:18001", "weir")
        );
        assert_eq!(config.tls, None);
        assert_eq!(config.max_message_bytes, 64 << 20);
    }

    #[test]
    fn files_for_tls_imply_it() {
        let config = resolve(&[
            "--xds-ca",
            "ca.crt",
            "--xds-cert",
            "tls.crt",
            "--xds-key",
            "tls.key",
        ]);
        let tls = config.unwrap().tls.unwrap();
        assert_eq!(tls.ca, Some("ca.crt".into()));
        assert_eq!(tls.identity, Some(("tls.crt".into(), "tls.key".into())));
        assert!(resolve(&["--xds-cert", "tls.crt"]).is_err());
        assert_eq!(
            resolve(&["--xds-tls"]).unwrap().tls,
            Some(TlsOptions::default())
        );
    }

    #[test]
    fn the_longest_configuration_has_any_size() {
        let most =
            |text| resolve(&["--xds-max-message", text]).map(|config| config.max_message_bytes);
        assert_eq!(most("8MiB").unwrap(), 8 << 20);
        assert_eq!(most("1").unwrap(), 1);
        let error = most("many").unwrap_err().to_string();
        assert!(
            error.contains("expected a whole number of bytes"),
            "{error}"
        );
    }

    #[test]
    fn metadata_and_headers_are_lists_of_pairs() {
        let config = resolve(&["--xds-node-metadata", "a=1,b=x=y", "--xds-header", "k=v"]).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(config.node_metadata, [pair("a", "1"), pair("b", "x=y")]);
        assert_eq!(config.headers, [pair("k", "v")]);
        assert!(resolve(&["--xds-header", "k"]).is_err());
    }

    #[test]
    fn an_address_has_a_port() {
        assert_eq!(
            xds_server("envoy-gateway:18001").unwrap(),
            "envoy-gateway:18001"
        );
        assert!(xds_server("envoy-gateway").is_err());
        assert!(xds_server(":18001").is_err());
        assert!(xds_server("unix:/x").is_err());
    }
}
