//! Header blocks of any bytes, to two decoders.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::headers(data));

#[cfg(not(fuzzing))]
fn main() {}
