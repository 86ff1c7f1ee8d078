//! All variables as they were given, and the settings that they make.

use super::super::ServeSettings;
use super::RatelimitError;
use super::counting::{self, Counting};
use super::ports::{self, Ports};
use super::redis_server::{self, RedisVariables};
use super::source::{self, Source};
use super::statistics::{self, Statistics};
use super::tracing_variables::{self, Tracing};
use super::variable::{Effect, Variable, VariableGroup};

/// The values of all variables, or their defaults in envoyproxy/ratelimit.
pub(super) struct Environment {
    ports: Ports,
    source: Source,
    counting: Counting,
    redis: RedisVariables,
    statistics: Statistics,
    tracing: Tracing,
}

impl Environment {
    /// Reads variables by their names, and adds what is to be logged of them.
    ///
    /// # Errors
    /// If a value is invalid, or must not be ignored.
    pub(super) fn read(
        variable: impl Fn(&str) -> Option<String>,
        notices: &mut Vec<String>,
    ) -> Result<Self, RatelimitError> {
        Ok(Self {
            ports: read(&ports::GROUP, &variable, notices)?,
            source: read(&source::GROUP, &variable, notices)?,
            counting: read(&counting::GROUP, &variable, notices)?,
            redis: read(&redis_server::GROUP, &variable, notices)?,
            statistics: read(&statistics::GROUP, &variable, notices)?,
            tracing: read(&tracing_variables::GROUP, &variable, notices)?,
        })
    }

    /// Puts the values into settings.
    ///
    /// # Errors
    /// If values contradict each other.
    pub(super) fn apply(self, settings: &mut ServeSettings) -> Result<(), RatelimitError> {
        self.ports.apply(settings)?;
        self.source.apply(settings)?;
        self.redis.apply(&self.counting, settings)?;
        self.counting.apply(settings);
        self.statistics.apply(settings)?;
        self.tracing.apply(settings);
        Ok(())
    }
}

/// Reads the variables of one subject.
fn read<R: Default>(
    group: &VariableGroup<R>,
    variable: impl Fn(&str) -> Option<String>,
    notices: &mut Vec<String>,
) -> Result<R, RatelimitError> {
    let mut raw = R::default();
    for known in group.variables {
        let name = known.name;
        let Some(value) = variable(name) else {
            continue;
        };
        let invalid = |source| RatelimitError::Invalid { name, source };
        match known.effect {
            Effect::Used { read, .. } => read(&mut raw, &value).map_err(invalid)?,
            Effect::Ignored { reason } => {
                notices.push(format!("{name} has no effect: {reason}"));
            }
            Effect::Refused {
                reason,
                is_harmless,
            } => {
                if !is_harmless(&value).map_err(invalid)? {
                    return Err(RatelimitError::Refused { name, reason });
                }
            }
        }
    }
    Ok(raw)
}

/// A variable as the documentation lists it.
pub(super) struct ListedVariable {
    pub(super) group: &'static str,
    pub(super) name: &'static str,
    pub(super) default: &'static str,
    /// What weir does with it.
    pub(super) effect: String,
}

/// All variables that envoyproxy/ratelimit reads, by subject.
pub(super) fn list() -> Vec<ListedVariable> {
    let mut listed = Vec::new();
    add(&ports::GROUP, &mut listed);
    add(&source::GROUP, &mut listed);
    add(&counting::GROUP, &mut listed);
    add(&redis_server::GROUP, &mut listed);
    add(&statistics::GROUP, &mut listed);
    add(&tracing_variables::GROUP, &mut listed);
    listed
}

fn add<R>(group: &VariableGroup<R>, listed: &mut Vec<ListedVariable>) {
    let list = |variable: &Variable<R>| ListedVariable {
        group: group.title,
        name: variable.name,
        default: variable.default,
        effect: match variable.effect {
            Effect::Used { meaning, .. } => meaning.to_owned(),
            Effect::Ignored { reason } => format!("*ignored:* {reason}"),
            Effect::Refused { reason, .. } => format!("**rejected:** {reason}"),
        },
    };
    listed.extend(group.variables.iter().map(list));
}
