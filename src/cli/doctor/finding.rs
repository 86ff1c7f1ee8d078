//! What is wrong: the symptom, its cause, the evidence for it, and what to do.

use serde::Serialize;

/// The symptoms of `docs/troubleshooting.md`, in its order and with its titles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Symptom {
    NothingIsLimited,
    EverythingIsRefused,
    LimitsCountTwice,
    ClientsShareAddress,
    CallsTimeOut,
}

/// A cause of a symptom that the observations show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) symptom: Symptom,
    /// In one sentence without a full stop.
    pub(super) cause: String,
    /// What was observed, a line each.
    pub(super) evidence: Vec<String>,
    /// The next step of the operator.
    pub(super) next_step: String,
}

impl Symptom {
    pub(super) const ALL: [Self; 5] = [
        Self::NothingIsLimited,
        Self::EverythingIsRefused,
        Self::LimitsCountTwice,
        Self::ClientsShareAddress,
        Self::CallsTimeOut,
    ];

    /// The heading in `docs/troubleshooting.md`.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::NothingIsLimited => "Nothing is limited",
            Self::EverythingIsRefused => "Everything is refused",
            Self::LimitsCountTwice => "Limits count twice",
            Self::ClientsShareAddress => "All clients share one address",
            Self::CallsTimeOut => "Calls time out",
        }
    }

    pub(super) fn finding(
        self,
        cause: impl Into<String>,
        evidence: impl IntoIterator<Item = String>,
        next_step: impl Into<String>,
    ) -> Finding {
        Finding {
            symptom: self,
            cause: cause.into(),
            evidence: evidence.into_iter().collect(),
            next_step: next_step.into(),
        }
    }
}
