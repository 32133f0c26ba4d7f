//! What a provider sends: `outgoingInvite` and `outgoingNotify`.

use super::{
    super::{
        model::{HeaderPlan, InvitePlan, sip_uri},
        report::{Node, Unknown},
        template::{Context, Template},
    },
    URI, all, encryption, optional, proxy, template,
};
use b2bua::app::HeaderList;

/// Those whose value is an address, and is refused where it is none.
const ADDRESSES: [&str; 4] = [
    "P-Asserted-Identity",
    "P-Preferred-Identity",
    "Remote-Party-ID",
    "Diversion",
];

/// `outgoingInvite`.
pub(super) fn invite(node: &Node<'_>) -> Option<InvitePlan> {
    let known = [
        "to",
        "from",
        "requestUri",
        "outboundProxy",
        "enableAvpf",
        "mediaEncryption",
        "headers",
    ];
    let table = node.table(&known, Unknown::Remarked)?;
    let field = |node: &Node<'_>| template(node, Context::Invite);
    let to = table.required("to").and_then(|to| field(&to));
    let from = match table.optional_word("from") {
        Some(from) => field(&from),
        None => Template::parse("{account.uri}", Context::Invite).ok(),
    };
    let request_uri = optional(&table, "requestUri", field);
    let headers = optional(&table, "headers", headers);
    let proxy = proxy(&table, "outboundProxy");
    let avpf = optional(&table, "enableAvpf", Node::boolean);
    let encryption = optional(&table, "mediaEncryption", encryption);
    Some(InvitePlan {
        to: to?,
        from: from?,
        request_uri: request_uri?,
        outbound_proxy: proxy?,
        avpf: avpf?,
        encryption: encryption?,
        headers: headers?.unwrap_or_default(),
    })
}

fn headers(node: &Node<'_>) -> Option<Vec<HeaderPlan>> {
    let header = |(name, node): (&str, Node<'_>)| {
        let expected = "the name of a header field that an application may write";
        if let Err(error) = name.parse::<HeaderList>() {
            node.problem(&error.to_string(), expected);
            return None;
        }
        if name.is_empty() || name.contains([' ', '*', '\t']) {
            node.problem("this is not the name of one header field", expected);
            return None;
        }
        Some(HeaderPlan {
            name: name.to_owned(),
            is_address: ADDRESSES.iter().any(|known| known.eq_ignore_ascii_case(name)),
            value: template(&node, Context::Invite)?,
        })
    };
    all(node.entries()?.into_iter().map(header))
}

/// `outgoingNotify`.
pub(super) fn notify(node: &Node<'_>) -> Option<b2bua::sip::Uri> {
    let table = node.table(&["outboundProxy"], Unknown::Remarked)?;
    table.required("outboundProxy")?.read(sip_uri, URI)
}
