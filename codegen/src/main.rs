//! Writes the code of the protocol again: `cargo run -p weir-codegen`.

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let generated = root.join(weir_codegen::GENERATED);
    weir_codegen::generate(&root, &generated)
}
