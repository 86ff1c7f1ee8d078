//! `count_prefix`: which addresses are counted together.

use super::{LANGUAGE, RawCountPrefix, types};
use crate::document::{Field, Key, Level, Pair, Report, Spanned, scalar};

#[rustfmt::skip]
pub(super) static COUNT_PREFIX: Level<RawCountPrefix> = Level {
    name: "`count_prefix`",
    definition: "count_prefix",
    required: &[],
    base: None,
    keys: &[
        Key::new("v4", types::PREFIX_V4, "The bits of an IPv4 address that are counted by; 32 if left out.",
            |lens, pair, report| lens.v4 = scalar::number(&pair.node, report)),
        Key::new("v6", types::PREFIX_V6, "The bits of an IPv6 address that are counted by; 128 if left out.",
            |lens, pair, report| lens.v6 = scalar::number(&pair.node, report)),
    ],
};

pub(super) fn read(pair: &Pair, report: &mut Report) -> Option<Spanned<RawCountPrefix>> {
    let mut lens = RawCountPrefix {
        v4: Field::Absent,
        v6: Field::Absent,
    };
    COUNT_PREFIX.read(&pair.node, &mut lens, &LANGUAGE, report)?;
    Some(pair.at_key(lens))
}
