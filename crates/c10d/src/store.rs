//! The rendezvous store: a small key-value server that processes meet at.

use std::ffi::CString;
use std::ptr::null_mut;
use std::time::Duration;

use crate::error::{Error, Subject, check};
use crate::ffi::{self, Owned};

/// A client of a TCP store, and on one process its server too.
///
/// Values are bytes. The server lives as long as the `Store` that hosts it.
#[derive(Debug)]
pub struct Store(pub(crate) Owned);

impl Store {
    /// Hosts a store at `host:port` (port 0 = any free one, see [`Store::port`]) and connects to it.
    ///
    /// # Errors
    /// [`Error::Store`] where the port is taken or the host isn't ours.
    pub fn host(host: &str, port: u16, timeout: Duration) -> Result<Self, Error> {
        Self::open(host, port, true, timeout)
    }

    /// Connects to the store at `host:port`, trying again until `timeout`.
    ///
    /// # Errors
    /// [`Error::Timeout`] or [`Error::Store`] where nobody hosts one in time.
    pub fn connect(host: &str, port: u16, timeout: Duration) -> Result<Self, Error> {
        Self::open(host, port, false, timeout)
    }

    fn open(host: &str, port: u16, is_server: bool, timeout: Duration) -> Result<Self, Error> {
        let host = text(host)?;
        let mut handle = null_mut();
        // SAFETY: `host` outlives the call and `handle` is a valid place to write to.
        let status = unsafe {
            ffi::teasel_store_tcp(host.as_ptr(), port, is_server.into(), milliseconds(timeout), &mut handle)
        };
        check(status, Subject::Store)?;
        owned(handle).map(Store)
    }

    /// The port that the server listens at.
    pub fn port(&self) -> Result<u16, Error> {
        let mut port = 0;
        // SAFETY: the handle is valid as long as `self` lives.
        check(unsafe { ffi::teasel_store_port(self.0.handle(), &mut port) }, Subject::Store)?;
        Ok(port)
    }

    /// Sets `key` to `value`.
    pub fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        let key = text(key)?;
        // SAFETY: key and value outlive the call, and the length is the value's.
        let status = unsafe { ffi::teasel_store_set(self.0.handle(), key.as_ptr(), value.as_ptr(), value.len()) };
        check(status, Subject::Store)
    }

    /// The value of `key`, waiting for it until `timeout`.
    ///
    /// # Errors
    /// [`Error::Timeout`] where nobody sets it in time.
    pub fn get(&self, key: &str, timeout: Duration) -> Result<Vec<u8>, Error> {
        let key = text(key)?;
        let (mut bytes, mut length) = (null_mut(), 0);
        // SAFETY: the key outlives the call; `bytes` and `length` are valid places to write to.
        let status = unsafe {
            ffi::teasel_store_get(self.0.handle(), key.as_ptr(), milliseconds(timeout), &mut bytes, &mut length)
        };
        check(status, Subject::Store)?;
        // SAFETY: on success the shim has allocated `length` readable bytes at `bytes`, which nobody else holds.
        let value = unsafe { std::slice::from_raw_parts(bytes, length) }.to_vec();
        // SAFETY: allocated by the shim just above and not used again.
        unsafe { ffi::teasel_bytes_free(bytes) };
        Ok(value)
    }

    /// Adds to the counter `key` (0 at first) and returns its new value.
    pub fn add(&self, key: &str, amount: i64) -> Result<i64, Error> {
        let key = text(key)?;
        let mut value = 0;
        // SAFETY: the key outlives the call and `value` is a valid place to write to.
        let status = unsafe { ffi::teasel_store_add(self.0.handle(), key.as_ptr(), amount, &mut value) };
        check(status, Subject::Store)?;
        Ok(value)
    }

    /// Whether `key` has been set.
    pub fn contains(&self, key: &str) -> Result<bool, Error> {
        let key = text(key)?;
        let mut found = 0;
        // SAFETY: the key outlives the call and `found` is a valid place to write to.
        let status = unsafe { ffi::teasel_store_check(self.0.handle(), key.as_ptr(), &mut found) };
        check(status, Subject::Store)?;
        Ok(found != 0)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: the handle is ours and isn't used again. Groups built on the store hold their own reference.
        unsafe { ffi::teasel_store_free(self.0.handle()) }
    }
}

pub(crate) fn text(value: &str) -> Result<CString, Error> {
    CString::new(value).map_err(|_| Error::Other(format!("{value:?} holds a NUL byte")))
}

pub(crate) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

pub(crate) fn owned(handle: ffi::Handle) -> Result<Owned, Error> {
    Owned::new(handle).ok_or_else(|| Error::Other("the shim returned nothing".into()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(300);
    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn what_one_process_sets_another_gets() {
        let server = Store::host("127.0.0.1", 0, LONG).unwrap();
        let client = Store::connect("127.0.0.1", server.port().unwrap(), LONG).unwrap();
        assert!(!client.contains("key").unwrap());
        server.set("key", b"value\0with a NUL").unwrap();
        assert_eq!(client.get("key", LONG).unwrap(), b"value\0with a NUL");
        server.set("empty", b"").unwrap();
        assert_eq!(client.get("empty", LONG).unwrap(), b"");
        assert_eq!(client.add("counter", 2).unwrap(), 2);
        assert_eq!(server.add("counter", 3).unwrap(), 5);
    }

    #[test]
    fn a_key_that_nobody_sets_times_out() {
        let store = Store::host("127.0.0.1", 0, LONG).unwrap();
        assert!(matches!(store.get("absent", SHORT), Err(Error::Timeout(_))));
    }

    #[test]
    fn a_key_with_a_nul_byte_and_a_taken_port_are_errors() {
        let store = Store::host("127.0.0.1", 0, LONG).unwrap();
        assert!(matches!(store.set("a\0b", b""), Err(Error::Other(_))));
        assert!(matches!(Store::host("127.0.0.1", store.port().unwrap(), SHORT), Err(Error::Store(_))));
    }
}
