//! Variables for where hits are counted, how, and what the answers contain.

use std::sync::Arc;

use super::super::ServeSettings;
use super::value::{InvalidValue, boolean, count, set};
use super::variable::{VariableGroup, ignored, used};
use crate::policy::ResponseTemplate;

/// How hits are counted and answered.
pub(super) struct Counting {
    pub(super) backend: Backend,
    pub(super) has_local_cache: bool,
    pub(super) is_atomic: bool,
    near_limit_ratio: Option<f32>,
    shadow_mode: bool,
    quota_mode: bool,
    request_metadata: bool,
    has_headers: bool,
    limit_header: String,
    remaining_header: String,
    reset_header: String,
}

/// `BACKEND_TYPE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Backend {
    #[default]
    Redis,
    Memory,
}

impl Default for Counting {
    fn default() -> Self {
        Self {
            backend: Backend::default(),
            has_local_cache: false,
            is_atomic: false,
            near_limit_ratio: None,
            shadow_mode: false,
            quota_mode: false,
            request_metadata: false,
            has_headers: false,
            limit_header: "RateLimit-Limit".to_owned(),
            remaining_header: "RateLimit-Remaining".to_owned(),
            reset_header: "RateLimit-Reset".to_owned(),
        }
    }
}

/// Why variables for Memcached have no effect.
const NO_MEMCACHED: &str = "weir counts in memory or in Redis";

pub(super) const GROUP: VariableGroup<Counting> = VariableGroup {
    title: "Counting and answers",
    variables: &[
        used(
            "BACKEND_TYPE",
            "redis",
            "`redis`, or `memory`, which only weir has: counters in memory although REDIS_URL is set. `memcache` is rejected",
            |raw, value| set(&mut raw.backend, backend(value)),
        ),
        used(
            "SHADOW_MODE",
            "false",
            "no request is refused",
            |raw, value| set(&mut raw.shadow_mode, boolean(value)),
        ),
        used(
            "QUOTA_MODE",
            "false",
            "every descriptor is in quota mode",
            |raw, value| set(&mut raw.quota_mode, boolean(value)),
        ),
        used(
            "STOP_CACHE_KEY_INCREMENT_WHEN_OVERLIMIT",
            "false",
            "every domain is `atomic`: a refused request is charged to none of its descriptors. Rejected with REDIS_TYPE=CLUSTER",
            |raw, value| set(&mut raw.is_atomic, boolean(value)),
        ),
        used(
            "NEAR_LIMIT_RATIO",
            "0.8",
            "share of a limit above which a hit counts as near it, in metrics",
            |raw, value| set(&mut raw.near_limit_ratio, near_limit_ratio(value).map(Some)),
        ),
        used(
            "LOCAL_CACHE_SIZE_IN_BYTES",
            "0",
            "more than 0: a counter over its limit is refused without asking Redis again, for up to a second. The size has no effect",
            |raw, value| {
                set(
                    &mut raw.has_local_cache,
                    count(value).map(|bytes| bytes > 0),
                )
            },
        ),
        ignored(
            "EXPIRATION_JITTER_MAX_SECONDS",
            "300",
            "weir has no need of it: Redis removes expired counters bit by bit",
        ),
        used(
            "LIMIT_RESPONSE_HEADERS_ENABLED",
            "false",
            "the three header fields below, in domains without a `response` of their own",
            |raw, value| set(&mut raw.has_headers, boolean(value)),
        ),
        used(
            "LIMIT_LIMIT_HEADER",
            "RateLimit-Limit",
            "header field with the requests per unit of the reported limit",
            |raw, value| set(&mut raw.limit_header, header_name(value)),
        ),
        used(
            "LIMIT_REMAINING_HEADER",
            "RateLimit-Remaining",
            "header field with the hits that remain",
            |raw, value| set(&mut raw.remaining_header, header_name(value)),
        ),
        used(
            "LIMIT_RESET_HEADER",
            "RateLimit-Reset",
            "header field with the seconds until the limit resets",
            |raw, value| set(&mut raw.reset_header, header_name(value)),
        ),
        used(
            "RESPONSE_DYNAMIC_METADATA",
            "false",
            "`dynamic_metadata` describes the request; values of secret keys are hidden",
            |raw, value| set(&mut raw.request_metadata, boolean(value)),
        ),
        ignored("MEMCACHE_HOST_PORT", "", NO_MEMCACHED),
        ignored("MEMCACHE_SRV", "", NO_MEMCACHED),
        ignored("MEMCACHE_SRV_REFRESH", "0", NO_MEMCACHED),
        ignored("MEMCACHE_MAX_IDLE_CONNS", "2", NO_MEMCACHED),
        ignored("MEMCACHE_TLS", "false", NO_MEMCACHED),
        ignored("MEMCACHE_TLS_CLIENT_CERT", "", NO_MEMCACHED),
        ignored("MEMCACHE_TLS_CLIENT_KEY", "", NO_MEMCACHED),
        ignored("MEMCACHE_TLS_CACERT", "", NO_MEMCACHED),
        ignored(
            "MEMCACHE_TLS_SKIP_HOSTNAME_VERIFICATION",
            "false",
            NO_MEMCACHED,
        ),
    ],
};

impl Counting {
    pub(super) fn apply(self, settings: &mut ServeSettings) {
        let defaults = &mut settings.domain_defaults;
        defaults.shadow_mode = self.shadow_mode;
        defaults.quota_mode = self.quota_mode;
        defaults.atomic = self.is_atomic;
        let names = [
            &*self.limit_header,
            &*self.remaining_header,
            &*self.reset_header,
        ];
        defaults.response = self
            .has_headers
            .then(|| Arc::new(ResponseTemplate::of_limit(names)));
        settings.server.request_metadata = self.request_metadata;
        settings.near_limit_ratio = self.near_limit_ratio;
    }
}

fn backend(value: &str) -> Result<Backend, InvalidValue> {
    match value {
        "redis" => Ok(Backend::Redis),
        "memory" => Ok(Backend::Memory),
        "memcache" => Err(InvalidValue(
            "redis or memory: weir has no counters in Memcached, and they would be lost in a move anyway",
        )),
        _ => Err(InvalidValue("redis or memory")),
    }
}

fn near_limit_ratio(value: &str) -> Result<f32, InvalidValue> {
    let ratio = value.parse().ok();
    let ratio = ratio.filter(|ratio: &f32| ratio.is_finite() && *ratio >= 0.0);
    ratio.ok_or(InvalidValue("a number, 0 or more, such as 0.8"))
}

/// A name of a header field.
fn header_name(value: &str) -> Result<String, InvalidValue> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    match !value.is_empty() && value.bytes().all(is_token) {
        true => Ok(value.to_owned()),
        false => Err(InvalidValue(
            "the name of a header field, such as X-RateLimit-Limit",
        )),
    }
}
