//! `cidr` and `count_prefix`: blocks of addresses, and which addresses of a block share a counter.

use crate::document::{DocumentCode, Field, Report, Spanned, Text};
use crate::policy::PolicyCode;
use crate::policy::matchers::cidr::{Cidr, PrefixLens};
use crate::policy::raw::{RawCountPrefix, RawMatchers};
use crate::policy::tree::CidrCounter;

/// The blocks of a descriptor, and how their addresses are counted.
#[derive(Debug)]
pub(super) struct CidrMatcher {
    pub(super) cidrs: Vec<Spanned<Cidr>>,
    pub(super) is_shared: bool,
    counted: PrefixLens,
}

impl CidrMatcher {
    /// How the addresses of one of its blocks are counted.
    pub(super) fn counter(&self, cidr: Cidr) -> CidrCounter {
        let len = cidr.counted_len(self.counted);
        match self.is_shared {
            true => CidrCounter::Shared(cidr.to_string().into()),
            false if len == cidr.address_len() => CidrCounter::Address,
            false => CidrCounter::Prefix(len),
        }
    }
}

/// `None` if no block is valid.
pub(super) fn compile(
    cidr: &Spanned<Vec<Spanned<Text>>>,
    is_shared: bool,
    matchers: &RawMatchers,
    report: &mut Report,
) -> Option<CidrMatcher> {
    let count_prefix = matchers.count_prefix.as_ref();
    Some(CidrMatcher {
        cidrs: cidrs(cidr, report)?,
        is_shared,
        counted: count_prefix.map_or(PrefixLens::WHOLE, |lens| prefix_lens(lens, report)),
    })
}

/// The valid blocks of a list; `None` if there are none.
fn cidrs(cidr: &Spanned<Vec<Spanned<Text>>>, report: &mut Report) -> Option<Vec<Spanned<Cidr>>> {
    if cidr.value.is_empty() {
        report.add(DocumentCode::EmptyList, cidr.position, "`cidr` is empty");
    }
    let mut cidrs = Vec::with_capacity(cidr.value.len());
    for text in &cidr.value {
        let position = text.position;
        match Cidr::parse(&text.value) {
            Ok(value) => cidrs.push(Spanned { value, position }),
            Err(error) => {
                report.add_with_help(
                    PolicyCode::InvalidCidr,
                    position,
                    error.to_string(),
                    error.help(),
                );
            }
        }
    }
    (!cidrs.is_empty()).then_some(cidrs)
}

fn prefix_lens(lens: &Spanned<RawCountPrefix>, report: &mut Report) -> PrefixLens {
    let PrefixLens { v4, v6 } = PrefixLens::WHOLE;
    if lens.value.v4.is_absent() && lens.value.v6.is_absent() {
        let message = "`count_prefix` has neither `v4` nor `v6`";
        report.add_with_help(PolicyCode::InvalidCountPrefix, lens.position, message, HELP);
    }
    PrefixLens {
        v4: prefix_len(&lens.value.v4, v4, report),
        v6: prefix_len(&lens.value.v6, v6, report),
    }
}

const HELP: &str = "write it as `count_prefix: {v4: 32, v6: 64}`";

fn prefix_len(len: &Field<u32>, whole: u8, report: &mut Report) -> u8 {
    let Some(written) = len.given() else {
        return whole;
    };
    match u8::try_from(written.value) {
        Ok(len) if (1..=whole).contains(&len) => len,
        _ => {
            let message = format!("the length of this prefix must be from 1 to {whole}");
            let help = "leave it out to count every address by itself";
            report.add_with_help(
                PolicyCode::InvalidCountPrefix,
                written.position,
                message,
                help,
            );
            whole
        }
    }
}

/// Rejects `count_prefix` where it has no meaning.
pub(super) fn check_count_prefix(matchers: &RawMatchers, is_shared: bool, report: &mut Report) {
    let Some(lens) = &matchers.count_prefix else {
        return;
    };
    let (message, help) = if matchers.cidr.is_absent() {
        let help = "add `cidr: [0.0.0.0/0, \"::/0\"]` to count all addresses by prefix";
        ("`count_prefix` needs `cidr`", help)
    } else if is_shared {
        let help = "remove one of them";
        (
            "`count_prefix` with `share_threshold`, which counts the whole block together",
            help,
        )
    } else {
        return;
    };
    report.add_with_help(PolicyCode::InvalidCountPrefix, lens.position, message, help);
}
