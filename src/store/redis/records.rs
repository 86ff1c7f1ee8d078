//! Small texts that all instances share, beside the counters: a hash in Redis, and a version that every change increases.
//!
//! The version is a field of the same hash, so that both are one key, which one node of a cluster has.

use ::redis::Value;

use super::connect::RedisConnection;
use super::{RESET_TIMEOUT, Redis};
use crate::store::{SharedRecords, StoreError};

/// The field of the version; names of records are not empty.
const VERSION: &str = "";

/// Writes a record, or deletes it if no text is given, and returns the new version.
const WRITE: &str = "\
if ARGV[3] then redis.call('HSET', KEYS[1], ARGV[2], ARGV[3]) else redis.call('HDEL', KEYS[1], ARGV[2]) end
return redis.call('HINCRBY', KEYS[1], ARGV[1], 1)";

impl Redis {
    /// The version of the records; 0 if there have never been any.
    pub(in crate::store) async fn records_version(&self) -> Result<u64, StoreError> {
        let mut get = ::redis::cmd("HGET");
        get.arg(self.records_key()).arg(VERSION);
        version(&self.ask_records(&get).await?)
    }

    /// All records, and their version.
    pub(in crate::store) async fn records(&self) -> Result<SharedRecords, StoreError> {
        let mut get = ::redis::cmd("HGETALL");
        get.arg(self.records_key());
        let pairs: Vec<(Value, Value)> = match self.ask_records(&get).await? {
            Value::Map(pairs) => pairs,
            Value::Array(values) => {
                let mut values = values.into_iter();
                std::iter::from_fn(|| Some((values.next()?, values.next()?))).collect()
            }
            Value::Nil => Vec::new(),
            _ => return Err(StoreError::UnexpectedReply),
        };
        let mut found = SharedRecords::default();
        for (name, value) in pairs {
            match text(name)? {
                name if name == VERSION => found.version = version(&value)?,
                name => {
                    found.texts.insert(name, text(value)?);
                }
            }
        }
        Ok(found)
    }

    /// Writes a record, or deletes it, and returns the new version.
    pub(in crate::store) async fn write_record(
        &self,
        name: &str,
        record: Option<&str>,
    ) -> Result<u64, StoreError> {
        let mut write = ::redis::cmd("EVAL");
        write.arg(WRITE).arg(1).arg(self.records_key());
        write.arg(VERSION).arg(name).arg(record);
        version(&self.ask_records(&write).await?)
    }

    fn records_key(&self) -> String {
        self.shared.records_key("assignments")
    }

    /// Sends a command over a connection that is kept for the next one.
    async fn ask_records(&self, command: &::redis::Cmd) -> Result<Value, StoreError> {
        let mut kept = self.records_connection.lock().await;
        let mut connection: RedisConnection = match kept.take() {
            Some(connection) => connection,
            None => self.shared.connect().await?,
        };
        let answer = connection.send_within(RESET_TIMEOUT, command).await?;
        *kept = Some(connection);
        Ok(answer)
    }
}

fn version(value: &Value) -> Result<u64, StoreError> {
    match value {
        Value::Nil => Ok(0),
        Value::Int(version) => u64::try_from(*version).map_err(|_| StoreError::UnexpectedReply),
        value => {
            let text = text(value.clone())?;
            text.parse().map_err(|_| StoreError::UnexpectedReply)
        }
    }
}

fn text(value: Value) -> Result<String, StoreError> {
    let bytes = match value {
        Value::BulkString(bytes) => bytes,
        Value::SimpleString(text) => return Ok(text),
        _ => return Err(StoreError::UnexpectedReply),
    };
    String::from_utf8(bytes).map_err(|_| StoreError::UnexpectedReply)
}
