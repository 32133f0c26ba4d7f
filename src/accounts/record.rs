//! One account as a database has it.

use std::fmt;
use zeroize::Zeroizing;

/// The columns of one row, as they stand; empty where they are null. What they mean is for the reader to say.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// `username`: never empty.
    pub username: String,
    /// `domain`, once `hostport`: never empty.
    pub domain: String,
    /// `user_id`: the name for authentication, where it is not `username`.
    pub user_id: String,
    /// `realm`; the domain where it is null.
    pub realm: String,
    /// `secret`.
    pub secret: Zeroizing<String>,
    /// `secret_type`, in lower case; `md5` where it is null.
    pub secret_type: String,
    /// `alias_username`.
    pub alias_username: String,
    /// `alias_domain`, once `alias_hostport`.
    pub alias_domain: String,
    /// `outbound_proxy`; empty where there is no such column.
    pub outbound_proxy: String,
    /// `registrar`; empty where there is no such column.
    pub registrar: String,
    /// `protocol`, in lower case; empty where there is no such column.
    pub protocol: String,
}

impl Record {
    /// `sip:USERNAME@DOMAIN`.
    pub fn uri(&self) -> String {
        format!("sip:{}@{}", self.username, self.domain)
    }
    /// `sip:ALIAS_USERNAME@ALIAS_DOMAIN` where there are both, else nothing.
    pub fn alias(&self) -> String {
        if self.alias_username.is_empty() || self.alias_domain.is_empty() {
            return String::new();
        }
        format!("sip:{}@{}", self.alias_username, self.alias_domain)
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("uri", &self.uri())
            .field("alias", &self.alias())
            .finish_non_exhaustive()
    }
}
