//! Examples of RFC 7541, cuts, long fields and errors.

use super::*;

type Pair = (String, String);

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn block(decoder: &mut HeaderDecoder, bytes: &[u8]) -> Result<Vec<Pair>, CompressionError> {
    let mut fields = Vec::new();
    decoder.decode(bytes, &mut |field| {
        fields.push((text(field.name_bytes), text(field.value)));
    })?;
    decoder.end_block()?;
    Ok(fields)
}

fn pairs(list: &[(&str, &str)]) -> Vec<Pair> {
    let own = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
    list.iter().map(own).collect()
}

#[test]
fn requests_of_the_rfc_are_decoded() {
    let first = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "www.example.com"),
    ];
    let second = [&first[..], &[("cache-control", "no-cache")]].concat();
    let third = [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/index.html"),
        (":authority", "www.example.com"),
        ("custom-key", "custom-value"),
    ];
    // Appendices C.3 (plain) and C.4 (Huffman).
    let plain = [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    let huffman = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    for blocks in [plain, huffman] {
        let mut decoder = HeaderDecoder::default();
        for (bytes, fields) in blocks.iter().zip([&first[..], &second, &third]) {
            assert_eq!(block(&mut decoder, &hex(bytes)), Ok(pairs(fields)));
        }
    }
}

#[test]
fn responses_of_the_rfc_evict_entries() {
    // Appendix C.6, with a table of 256 bytes.
    let mut decoder = HeaderDecoder::default();
    let mut first = hex("3fe101");
    first.extend(hex(
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e
         919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
    ));
    let fields = block(&mut decoder, &first).unwrap();
    assert_eq!(fields[3].1, "https://www.example.com");
    let second = block(&mut decoder, &hex("4883 640e ffc1 c0bf")).unwrap();
    assert_eq!(second[0], (":status".to_owned(), "307".to_owned()));
    assert_eq!(second[3].1, "https://www.example.com");
    let third = hex(
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7
         821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed
         4ee5 b106 3d50 07",
    );
    let third = block(&mut decoder, &third).unwrap();
    assert_eq!(third[2].1, "Mon, 21 Oct 2013 20:13:22 GMT");
    assert_eq!(
        third[5].1,
        "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"
    );
}

#[test]
fn any_cut_gives_the_same_fields() {
    let bytes = hex(
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    );
    let whole = block(&mut HeaderDecoder::default(), &bytes).unwrap();
    for size in 1..bytes.len() {
        let (mut decoder, mut fields) = (HeaderDecoder::default(), Vec::new());
        for piece in bytes.chunks(size) {
            let visit = &mut |field: HeaderField<'_>| {
                fields.push((text(field.name_bytes), text(field.value)));
            };
            decoder.decode(piece, visit).unwrap();
        }
        decoder.end_block().unwrap();
        assert_eq!(fields, whole);
    }
}

fn long_literal(first: u8, name: &str, length: usize) -> Vec<u8> {
    let mut bytes = vec![first, name.len() as u8];
    bytes.extend(name.bytes());
    bytes.push(0x7f);
    let mut left = length - 0x7f;
    while left >= 0x80 {
        bytes.push(left as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
    bytes.resize(bytes.len() + length, b'x');
    bytes
}

#[test]
fn a_long_field_is_skipped_and_the_table_stays_right() {
    let mut decoder = HeaderDecoder::default();
    block(
        &mut decoder,
        &hex("400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65"),
    )
    .unwrap();
    // Without indexing it leaves the table alone; with indexing it empties it.
    let mut size = 0;
    let long = long_literal(0x00, "tracestate", 8 << 20);
    decoder
        .decode(&long, &mut |field| {
            assert!(field.is_cut && field.name == FieldName::TraceState);
            size = field.size;
        })
        .unwrap();
    decoder.end_block().unwrap();
    assert_eq!(size, (8 << 20) + 10 + 32);
    assert!(decoder.kept.capacity() <= KEPT_CAPACITY);
    assert_eq!(block(&mut decoder, &[0xbe]).unwrap()[0].0, "custom-key");
    decoder
        .decode(&long_literal(0x40, "x", 5_000), &mut |_| {})
        .unwrap();
    decoder.end_block().unwrap();
    assert_eq!(block(&mut decoder, &[0xbe]), Err(CompressionError));
}

#[test]
fn what_is_not_hpack_is_an_error() {
    for wrong in [
        "80",                            // index 0
        "be",                            // an entry that is not there
        "ff80 8080 8001",                // an endless integer
        "8220",                          // a table size after a field
        "3fe2 1f",                       // a table of 4,097 bytes
        "0085 f2b2 4a84 ff84 4950 9fff", // padding of a whole byte
        "82 41 05 61",                   // an end within a field
    ] {
        let mut decoder = HeaderDecoder::default();
        assert_eq!(
            block(&mut decoder, &hex(wrong)),
            Err(CompressionError),
            "{wrong}"
        );
    }
}
