use std::sync::Arc;

use prost::Message;

use super::*;
use crate::engine::CountingStatus;
use crate::limit::Quota;
use crate::request::Unit;

/// The message of a gRPC frame that was seen on the wire, in hex with spaces.
fn message(hex: &str) -> RateLimitRequest {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    let frame: Vec<u8> = digits
        .chunks(2)
        .map(|pair| (pair[0] * 16 + pair[1]) as u8)
        .collect();
    let (header, message) = frame.split_at(5);
    assert_eq!(header, [0, 0, 0, 0, message.len() as u8], "{hex}");
    RateLimitRequest::decode(message).unwrap()
}

fn api_key(cost: Cost, limit: Option<Override>) -> Request {
    Request {
        domain: "t".into(),
        descriptors: vec![Descriptor {
            entries: vec![Entry {
                key: "api_key".into(),
                value: "k".into(),
            }],
            cost,
            limit,
        }],
    }
}

fn override_of(requests_per_unit: u32, unit: Unit, unit_multiplier: u32) -> Override {
    Override {
        requests_per_unit,
        unit,
        unit_multiplier,
    }
}

#[test]
fn what_envoy_1_40_sends_is_understood() {
    let hour = override_of(42, Unit::Hour, 1);
    for (hex, expected) in [
        (
            "00000000130a0174120e0a0c0a076170695f6b657912016b",
            api_key(Cost::Hits(1), None),
        ),
        (
            "00000000170a017412120a0c0a076170695f6b657912016b 1a020805",
            api_key(Cost::Hits(5), None),
        ),
        (
            "00000000150a017412100a0c0a076170695f6b657912016b 1a00",
            api_key(Cost::Peek, None),
        ),
        (
            "00000000190a017412140a0c0a076170695f6b657912016b 1a020805 2001",
            api_key(Cost::Refund(5), None),
        ),
        (
            "00000000190a017412140a0c0a076170695f6b657912016b 1204082a1003",
            api_key(Cost::Hits(1), Some(hour)),
        ),
        (
            "00000000150a0174120e0a0c0a076170695f6b657912016b 1805",
            api_key(Cost::Hits(5), None),
        ),
    ] {
        assert_eq!(request(message(hex)), Ok(expected), "{hex}");
    }
}

/// A request with one descriptor.
fn one(descriptor: RateLimitDescriptor) -> RateLimitRequest {
    RateLimitRequest {
        domain: "t".into(),
        descriptors: vec![descriptor],
        hits_addend: 0,
    }
}

#[test]
fn a_cost_is_the_descriptors_or_else_the_requests() {
    let cost = |of_request: u32, of_descriptor: Option<u64>, negative: bool| {
        let mut message = one(RateLimitDescriptor {
            hits_addend: of_descriptor,
            is_negative_hits: negative,
            ..RateLimitDescriptor::default()
        });
        message.hits_addend = of_request;
        request(message).unwrap().descriptors[0].cost
    };
    for (of_request, of_descriptor, negative, expected) in [
        (0, None, false, Cost::Hits(1)),
        (7, None, false, Cost::Hits(7)),
        (u32::MAX, None, false, Cost::Hits(u32::MAX)),
        (7, Some(0), false, Cost::Peek),
        (7, Some(2), false, Cost::Hits(2)),
        (7, Some(u64::MAX), false, Cost::Hits(u32::MAX)),
        (0, None, true, Cost::Refund(1)),
        (7, None, true, Cost::Refund(7)),
        (7, Some(0), true, Cost::Peek),
        (7, Some(1 << 32), true, Cost::Refund(u32::MAX)),
    ] {
        let case = (of_request, of_descriptor, negative);
        assert_eq!(cost(case.0, case.1, case.2), expected, "{case:?}");
    }
}

fn with_override(unit: i32, unit_multiplier: Option<u32>) -> Result<Override, InvalidRequest> {
    let message = one(RateLimitDescriptor {
        limit: Some(descriptor_pb::RateLimitOverride {
            requests_per_unit: 3,
            unit,
            unit_multiplier,
        }),
        ..RateLimitDescriptor::default()
    });
    Ok(request(message)?.descriptors[0].limit.unwrap())
}

#[test]
fn overrides_have_envoys_units_and_weeks() {
    for (number, unit) in [
        (1, Unit::Second),
        (2, Unit::Minute),
        (3, Unit::Hour),
        (4, Unit::Day),
        (5, Unit::Month),
        (6, Unit::Year),
        (7, Unit::Week),
    ] {
        assert_eq!(with_override(number, None), Ok(override_of(3, unit, 1)));
    }
    for number in [0, 8, -1] {
        let invalid = with_override(number, None).unwrap_err().to_string();
        let expected = "descriptors[0].limit.unit: is not the number of a unit of time";
        assert_eq!(invalid, expected);
    }
}

#[test]
fn overrides_have_windows_of_ten_years_at_most() {
    for (sent, multiplier) in [(None, 1), (Some(0), 1), (Some(1), 1), (Some(10), 10)] {
        assert_eq!(
            with_override(6, sent),
            Ok(override_of(3, Unit::Year, multiplier))
        );
    }
    for (unit, sent) in [(6, 11), (1, u32::MAX)] {
        let invalid = with_override(unit, Some(sent)).unwrap_err().to_string();
        assert!(
            invalid.starts_with("descriptors[0].limit.unit_multiplier: "),
            "{invalid}"
        );
    }
}

#[test]
fn values_keep_their_bytes() {
    let sent = RateLimitDescriptor {
        entries: vec![descriptor_pb::Entry {
            key: (&b"k\xff"[..]).into(),
            value: (&b"\x00\xfe"[..]).into(),
        }],
        ..RateLimitDescriptor::default()
    };
    let taken = request(one(sent)).unwrap();
    let entry = &taken.descriptors[0].entries[0];
    assert_eq!(
        (&*entry.key, &*entry.value),
        (&b"k\xff"[..], &b"\x00\xfe"[..])
    );
}

fn decision() -> Decision {
    Decision {
        code: Code::Ok,
        statuses: Vec::new(),
        headers: Vec::new(),
        request_headers: Vec::new(),
        body: None,
        metadata: None,
        counting_status: CountingStatus::Counted,
        grant: None,
        is_exempt: false,
    }
}

#[test]
fn a_bare_decision_is_a_bare_answer() {
    let expected = RateLimitResponse {
        overall_code: 1,
        ..RateLimitResponse::default()
    };
    assert_eq!(response(decision(), None), expected);
}

#[test]
fn statuses_keep_their_order_and_all_they_say() {
    let limited = Standing {
        code: Code::OverLimit,
        limit: Some(CurrentLimit {
            name: Some("cap".into()),
            quota: Quota::new(10, Window::new(Unit::Minute, 5)),
        }),
        remaining: 0,
        available: 0,
        over_capacity: false,
        reset_after_secs: Some(77),
    };
    let decided = Decision {
        code: Code::OverLimit,
        statuses: vec![Standing::UNMATCHED, limited, Standing::UNLIMITED],
        ..decision()
    };
    let answer = response(decided, None);
    assert_eq!(answer.overall_code(), response_pb::Code::OverLimit);
    let bare = response_pb::DescriptorStatus {
        code: 1,
        ..response_pb::DescriptorStatus::default()
    };
    assert_eq!(answer.statuses[0], bare);
    assert_eq!(
        answer.statuses[1],
        response_pb::DescriptorStatus {
            code: 2,
            current_limit: Some(response_pb::RateLimit {
                requests_per_unit: 10,
                unit: 2,
                name: "cap".to_owned(),
                unit_multiplier: Some(5),
            }),
            limit_remaining: 0,
            duration_until_reset: Some(prost_types::Duration {
                seconds: 77,
                nanos: 0,
            }),
            quota: None,
        }
    );
    let unlimited = response_pb::DescriptorStatus {
        limit_remaining: u32::MAX,
        ..bare
    };
    assert_eq!(answer.statuses[2], unlimited);
}

#[test]
fn answers_have_envoys_numbers_for_units_and_no_multiplier_of_one() {
    for (unit, number) in [
        (Unit::Second, 1),
        (Unit::Minute, 2),
        (Unit::Hour, 3),
        (Unit::Day, 4),
        (Unit::Month, 5),
        (Unit::Year, 6),
        (Unit::Week, 7),
    ] {
        let limit = current_limit(CurrentLimit {
            name: None,
            quota: Quota::new(1, Window::new(unit, 1)),
        });
        assert_eq!(limit.unit, number);
        assert_eq!(limit.unit_multiplier, None);
        assert_eq!(limit.name, "");
    }
    let slots = current_limit(CurrentLimit {
        name: None,
        quota: Quota::Concurrent(8),
    });
    assert_eq!((slots.requests_per_unit, slots.unit), (8, 0));
    assert_eq!(slots.unit_multiplier, None);
}

#[test]
fn headers_and_body_are_for_the_client() {
    let decided = Decision {
        headers: vec![Header {
            name: "X-RateLimit-Limit".into(),
            value: "10".to_owned(),
        }],
        body: Some("slow down".to_owned()),
        ..decision()
    };
    let answer = response(decided, None);
    assert_eq!(
        answer.response_headers_to_add,
        [HeaderValue {
            key: "X-RateLimit-Limit".to_owned(),
            value: "10".to_owned(),
            raw_value: bytes::Bytes::new(),
        }]
    );
    assert_eq!(answer.raw_body, "slow down");
    assert!(answer.request_headers_to_add.is_empty());
}

#[test]
fn request_headers_are_for_the_upstream() {
    let decided = Decision {
        request_headers: vec![Header {
            name: "X-Over-Quota".into(),
            value: "monthly".to_owned(),
        }],
        ..decision()
    };
    let answer = response(decided, None);
    assert_eq!(answer.request_headers_to_add[0].key, "X-Over-Quota");
    assert_eq!(answer.request_headers_to_add[0].value, "monthly");
    assert!(answer.response_headers_to_add.is_empty());
}

#[test]
fn metadata_stands_under_its_own_name() {
    use prost_types::value::Kind;

    let metadata = Metadata::from([
        ("none".to_owned(), Value::Null),
        ("flag".to_owned(), Value::Bool(true)),
        ("number".to_owned(), Value::Number(1.5)),
        (
            "list".to_owned(),
            Value::List(vec![
                Value::Text("a".to_owned()),
                Value::Map(Metadata::new()),
            ]),
        ),
    ]);
    let decided = Decision {
        metadata: Some(Arc::new(metadata)),
        ..decision()
    };
    let answer = response(decided, None);
    let value = |kind| prost_types::Value { kind: Some(kind) };
    let list = vec![
        value(Kind::StringValue("a".to_owned())),
        value(Kind::StructValue(prost_types::Struct::default())),
    ];
    let inner = prost_types::Struct {
        fields: [
            ("none".to_owned(), value(Kind::NullValue(0))),
            ("flag".to_owned(), value(Kind::BoolValue(true))),
            ("number".to_owned(), value(Kind::NumberValue(1.5))),
            (
                "list".to_owned(),
                value(Kind::ListValue(prost_types::ListValue { values: list })),
            ),
        ]
        .into(),
    };
    let expected = prost_types::Struct {
        fields: [("metadata".to_owned(), value(Kind::StructValue(inner)))].into(),
    };
    assert_eq!(answer.dynamic_metadata, Some(expected));
}

#[test]
fn a_lease_stands_beside_the_metadata() {
    let lease = LeaseId::from_bits(0xabc);
    let keys = |metadata| {
        let decided = Decision {
            metadata,
            ..decision()
        };
        let answer = response(decided, Some(lease)).dynamic_metadata.unwrap();
        let text = answer.fields["lease"].kind.clone();
        let expected = prost_types::value::Kind::StringValue(lease.to_string());
        assert_eq!(text, Some(expected));
        answer.fields.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(keys(None), ["lease"]);
    assert_eq!(keys(Some(Arc::default())), ["lease", "metadata"]);
}
