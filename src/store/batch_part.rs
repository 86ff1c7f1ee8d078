//! A part of a batch, for a store that has its counters in several places.

use smallvec::SmallVec;

use super::{Batch, Hit};

/// The hits of a batch whose counters are in one place.
#[derive(Debug)]
pub(super) struct BatchPart<'b, P> {
    pub(super) place: P,
    pub(super) batch: Batch<'b>,
    /// The index of each hit in the whole batch.
    pub(super) indices: SmallVec<[usize; 2]>,
}

impl<'b, P: PartialEq> BatchPart<'b, P> {
    /// The hits at `indices`, in one part for each place.
    pub(super) fn split(
        batch: &Batch<'b>,
        indices: impl IntoIterator<Item = usize>,
        place_of: impl Fn(&Hit<'b>) -> P,
    ) -> SmallVec<[Self; 1]> {
        let mut parts = SmallVec::<[Self; 1]>::new();
        for index in indices {
            let hit = batch.hits[index];
            let place = place_of(&hit);
            let part = match parts.iter().position(|part| part.place == place) {
                Some(part) => part,
                None => {
                    parts.push(Self {
                        place,
                        batch: Batch {
                            hits: SmallVec::new(),
                            atomic: batch.atomic,
                        },
                        indices: SmallVec::new(),
                    });
                    parts.len() - 1
                }
            };
            parts[part].batch.hits.push(hit);
            parts[part].indices.push(index);
        }
        parts
    }
}
