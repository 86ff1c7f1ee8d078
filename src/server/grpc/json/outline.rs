//! Counts what a request in JSON contains before anything is built: `{},` is an empty descriptor, and
//! takes a hundred times as much memory.

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use crate::server::grpc::convert::{InvalidRequest, MAX_DESCRIPTORS, MAX_ENTRIES};

/// What was counted so far.
#[derive(Debug, Default)]
struct Outline {
    descriptors: usize,
    /// Entries of the last descriptor.
    entries: usize,
    /// Why the request is too large.
    invalid: Option<InvalidRequest>,
}

/// A part of a request.
#[derive(Clone, Copy, Debug)]
enum Part {
    Request,
    Descriptors,
    Descriptor,
    Entries,
    Entry,
}

/// Why a request is not built.
#[derive(Debug)]
pub(super) enum OutlineError {
    /// The text has another form.
    Syntax(serde_json::Error),
    /// It has too many descriptors or entries.
    TooMany(InvalidRequest),
}

/// Checks that a request has at most [`MAX_DESCRIPTORS`] descriptors with at most [`MAX_ENTRIES`]
/// entries each.
pub(super) fn check(text: &[u8]) -> Result<(), OutlineError> {
    let mut outline = Outline::default();
    let mut json = serde_json::Deserializer::from_slice(text);
    let counter = PartCounter {
        part: Part::Request,
        outline: &mut outline,
    };
    match counter.deserialize(&mut json) {
        Ok(()) => Ok(()),
        Err(error) => Err(match outline.invalid {
            Some(invalid) => OutlineError::TooMany(invalid),
            None => OutlineError::Syntax(error),
        }),
    }
}

/// Counts one part.
struct PartCounter<'o> {
    part: Part,
    outline: &'o mut Outline,
}

impl PartCounter<'_> {
    fn inner(&mut self, part: Part) -> PartCounter<'_> {
        PartCounter {
            part,
            outline: self.outline,
        }
    }

    /// Counts the part, if it is an element of a list; `false` if there are too many.
    fn begin(&mut self) -> bool {
        let outline = &mut *self.outline;
        match self.part {
            Part::Descriptor => {
                outline.descriptors += 1;
                outline.entries = 0;
                if outline.descriptors > MAX_DESCRIPTORS {
                    outline.invalid = Some(InvalidRequest::too_many_descriptors());
                }
            }
            Part::Entry => {
                outline.entries += 1;
                if outline.entries > MAX_ENTRIES {
                    let index = outline.descriptors - 1;
                    outline.invalid = Some(InvalidRequest::too_many_entries(index));
                }
            }
            Part::Request | Part::Descriptors | Part::Entries => {}
        }
        outline.invalid.is_none()
    }
}

impl<'de> DeserializeSeed<'de> for PartCounter<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(mut self, json: D) -> Result<(), D::Error> {
        if !self.begin() {
            return Err(D::Error::custom("too many"));
        }
        match self.part {
            Part::Entry => json.deserialize_ignored_any(IgnoredAny).map(|_| ()),
            _ => json.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for PartCounter<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a RateLimitRequest")
    }

    /// In protobuf's JSON, null stands for the default value.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        let element = match self.part {
            Part::Descriptors => Part::Descriptor,
            Part::Entries => Part::Entry,
            _ => return Err(A::Error::custom("not a list")),
        };
        while let Some(()) = list.next_element_seed(self.inner(element))? {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match (self.part, &*key) {
                (Part::Request, "descriptors") => {
                    map.next_value_seed(self.inner(Part::Descriptors))?;
                }
                (Part::Descriptor, "entries") => map.next_value_seed(self.inner(Part::Entries))?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}
