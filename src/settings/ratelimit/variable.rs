//! A variable of envoyproxy/ratelimit, and what weir does with it.

use super::value::InvalidValue;

/// A variable that envoyproxy/ratelimit reads.
pub(super) struct Variable<R> {
    /// Its name.
    pub(super) name: &'static str,
    /// Its default in envoyproxy/ratelimit, as it is written; empty if there is none.
    pub(super) default: &'static str,
    /// What weir does with it.
    pub(super) effect: Effect<R>,
}

/// What weir does with a variable.
pub(super) enum Effect<R> {
    /// It is read.
    Used {
        /// What it means, in a few words.
        meaning: &'static str,
        /// Reads its value.
        read: ReadValue<R>,
    },
    /// It has no effect; a log line says why if it is set.
    Ignored {
        /// Why.
        reason: &'static str,
    },
    /// weir does not start with it, unless its value is harmless, for without it others would be let through or refused.
    Refused {
        /// Why, and what to do instead.
        reason: &'static str,
        /// Whether a value asks for nothing that weir lacks.
        is_harmless: fn(&str) -> Result<bool, InvalidValue>,
    },
}

/// Reads a value into a raw form.
pub(super) type ReadValue<R> = fn(&mut R, &str) -> Result<(), InvalidValue>;

/// Variables of one subject, which are read into a raw form of their own.
pub(super) struct VariableGroup<R: 'static> {
    /// The subject.
    pub(super) title: &'static str,
    /// The variables.
    pub(super) variables: &'static [Variable<R>],
}

pub(super) const fn used<R>(
    name: &'static str,
    default: &'static str,
    meaning: &'static str,
    read: ReadValue<R>,
) -> Variable<R> {
    Variable {
        name,
        default,
        effect: Effect::Used { meaning, read },
    }
}

pub(super) const fn ignored<R>(
    name: &'static str,
    default: &'static str,
    reason: &'static str,
) -> Variable<R> {
    Variable {
        name,
        default,
        effect: Effect::Ignored { reason },
    }
}

pub(super) const fn refused<R>(
    name: &'static str,
    default: &'static str,
    reason: &'static str,
    is_harmless: fn(&str) -> Result<bool, InvalidValue>,
) -> Variable<R> {
    Variable {
        name,
        default,
        effect: Effect::Refused {
            reason,
            is_harmless,
        },
    }
}
