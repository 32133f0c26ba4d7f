//! The providers file, read and checked: schema version 2, upstream's keys and ours. All faults in one report.

mod outgoing;

use super::{
    account_schema,
    model::{
        Codes, Destinations, Document, NotFound, Pool, Provider, ProviderLimits, Strategy, Trigger, sip_uri,
    },
    number::{Form, Numbers},
    report::{Node, Report, Table, Unknown},
    template::{Context, Template},
    v1,
    value::Value,
};
use b2bua::{app::Encryption, config::Expression};
use outgoing::{invite, notify};
use std::time::Duration;

pub(super) const URI: &str = "a SIP URI like <sip:proxy.example.net;transport=tcp>";

/// Reads a file's tree: an array is upstream's first schema, an object the second.
pub(super) fn read(root: &Value, report: &Report) -> Option<Document> {
    let node = Node {
        value: root,
        path: String::new(),
        report,
    };
    match root {
        Value::List(_) => v1::read(&node),
        _ => document(&node),
    }
}

fn document(root: &Node<'_>) -> Option<Document> {
    let table = root.table(&["schemaVersion", "providers", "accountPools"], Unknown::Remarked)?;
    if let Some(version) = table.required("schemaVersion")
        && version.integer(0, u32::MAX).is_some_and(|version| version != 2)
    {
        version.problem(
            "this schema is not known",
            "2 (or an array of providers, which is schema 1)",
        );
    }
    let pools = table.required("accountPools").and_then(|pools| pools.entries());
    let names: Option<Vec<&str>> = pools
        .as_ref()
        .map(|pools| pools.iter().map(|(name, _)| *name).collect());
    let pools: Option<Vec<Pool>> = pools.and_then(|pools| {
        let pools = pools.into_iter();
        all(pools.map(|(name, node)| account_schema::pool(name, &node)))
    });
    let providers = table.required("providers").and_then(|providers| providers.list());
    let providers = providers.and_then(|list| all(list.iter().map(|node| provider(node, names.as_deref()))));
    let (providers, pools) = (providers?, pools?);
    unique_names(&providers, &table);
    Some(Document { providers, pools })
}

/// All of them, after each has had its say.
pub(super) fn all<T>(items: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let items: Vec<Option<T>> = items.collect();
    items.into_iter().collect()
}

fn unique_names(providers: &[Provider], table: &Table<'_>) {
    for (index, provider) in providers.iter().enumerate() {
        if providers[..index].iter().any(|other| other.name == provider.name) {
            let path = format!("providers[{index}].name");
            table.report.remark(
                &path,
                &format!("another provider is called {:?} too", provider.name),
            );
        }
    }
}

fn provider(node: &Node<'_>, pools: Option<&[&str]>) -> Option<Provider> {
    let table = node.table(
        &[
            "name",
            "accountPool",
            "triggerCondition",
            "accountToUse",
            "onAccountNotFound",
            "outgoingInvite",
            "outgoingNotify",
            "numbers",
            "destinations",
            "limits",
            "qualify",
            "failover",
        ],
        Unknown::Remarked,
    )?;
    let name = table.required("name").and_then(|name| name.word());
    let pool = table.required("accountPool").and_then(|pool| {
        let name = pool.text()?;
        let names = pools?;
        let index = names.iter().position(|known| *known == name);
        if index.is_none() {
            let known = format!("one of accountPools: {}", names.join(", "));
            pool.problem(&format!("there is no account pool {name:?}"), &known);
        }
        index
    });
    let trigger = table.required("triggerCondition").and_then(|node| trigger(&node));
    let strategy = table.required("accountToUse").and_then(|node| strategy(&node));
    let words = [
        ("nextProvider", NotFound::NextProvider),
        ("decline", NotFound::Decline),
    ];
    let not_found = table
        .required("onAccountNotFound")
        .and_then(|node| node.one_of(&words));
    let invite = table.required("outgoingInvite").and_then(|node| invite(&node));
    let notify = optional(&table, "outgoingNotify", notify);
    let numbers = optional(&table, "numbers", numbers);
    let destinations = optional(&table, "destinations", destinations);
    let limits = optional(&table, "limits", limits);
    let qualify = optional(&table, "qualify", qualify);
    let failover = optional(&table, "failover", failover);
    Some(Provider {
        name: name?.to_owned(),
        pool: pool?,
        trigger: trigger?,
        strategy: strategy?,
        not_found: not_found?,
        invite: invite?,
        notify: notify?,
        numbers: numbers?.unwrap_or_default(),
        destinations: destinations?.unwrap_or_default(),
        limits: limits?.unwrap_or_default(),
        qualify: qualify?,
        failover: failover?.unwrap_or_default(),
    })
}

/// `Some(None)` where the key is not there, `None` where it is wrong.
pub(super) fn optional<'a, T>(
    table: &Table<'a>,
    name: &str,
    read: impl FnOnce(&Node<'a>) -> Option<T>,
) -> Option<Option<T>> {
    match table.get(name) {
        Some(node) => read(&node).map(Some),
        None => Some(None),
    }
}

fn trigger(node: &Node<'_>) -> Option<Trigger> {
    #[derive(Clone)]
    enum Word {
        Always,
        Uri,
        Number,
    }
    let table = node.table(&["strategy", "pattern", "source"], Unknown::Remarked)?;
    let words = [
        ("Always", Word::Always),
        ("MatchRegex", Word::Uri),
        ("MatchNumber", Word::Number),
    ];
    let word = table.required("strategy").and_then(|node| node.one_of(&words))?;
    let is_number = match word {
        Word::Always => return Some(Trigger::Always),
        Word::Uri => {
            // Upstream wants it, and looks at the Request-URI whatever it says.
            if let Some(source) = table.required("source")
                && !matches!(source.text()?, "" | "{incoming.requestUri}" | "{requestUri}")
            {
                table.report.remark(
                    &source.path,
                    "not looked at: a pattern is always matched with the Request-URI",
                );
            }
            false
        }
        Word::Number => true,
    };
    let pattern = table.required("pattern")?;
    let (text, expression) = expression(&pattern)?;
    table
        .get("source")
        .map_or(Some(()), |source| source.text().map(drop))?;
    if is_number {
        Some(Trigger::Number {
            pattern: text,
            expression,
        })
    } else {
        table.get("source")?;
        Some(Trigger::Uri {
            pattern: text,
            expression,
        })
    }
}

pub(super) fn expression(node: &Node<'_>) -> Option<(String, Expression)> {
    let text = node.word()?;
    let expected = "an ECMAScript regular expression for the whole of it";
    let expression = node.read(
        |text| text.parse::<Expression>().map_err(|error| error.to_string()),
        expected,
    )?;
    Some((text.to_owned(), expression))
}

fn strategy(node: &Node<'_>) -> Option<Strategy> {
    let table = node.table(&["strategy", "by", "source"], Unknown::Remarked)?;
    let words = [("Random", false), ("FindInPool", true)];
    let find = table.required("strategy").and_then(|node| node.one_of(&words))?;
    if !find {
        return Some(Strategy::Random);
    }
    let by = table.required("by").and_then(|by| match by.text()? {
        // Upstream's short forms.
        "uri" => Template::parse("{uri}", Context::Account).ok(),
        "alias" => Template::parse("{alias}", Context::Account).ok(),
        _ => template(&by, Context::Account),
    });
    let source = table
        .required("source")
        .and_then(|source| template(&source, Context::Call));
    Some(Strategy::FindInPool {
        by: by?,
        source: source?,
    })
}

pub(super) fn template(node: &Node<'_>, context: Context) -> Option<Template> {
    match Template::parse(node.word()?, context) {
        Ok(template) => Some(template),
        Err(error) => {
            node.problem(&error.to_string(), &error.expected);
            None
        }
    }
}

/// A URI that may be missing or empty.
pub(super) fn proxy(table: &Table<'_>, name: &str) -> Option<Option<b2bua::sip::Uri>> {
    match table.optional_word(name) {
        Some(node) => node.read(sip_uri, URI).map(Some),
        None => Some(None),
    }
}

pub(super) fn encryption(node: &Node<'_>) -> Option<Encryption> {
    let words = [
        ("zrtp", Encryption::Zrtp),
        ("sdes", Encryption::Sdes),
        ("dtls-srtp", Encryption::DtlsSrtp),
        ("none", Encryption::None),
    ];
    node.one_of(&words)
}

fn digits(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.len() <= 15 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is not a number"))
    }
}

fn numbers(node: &Node<'_>) -> Option<Numbers> {
    let known = [
        "country",
        "nationalPrefix",
        "internationalPrefix",
        "strip",
        "form",
        "add",
    ];
    let table = node.table(&known, Unknown::Refused)?;
    let defaults = Numbers::default();
    let country = |node: &Node<'_>| {
        node.read(
            |text| digits(text.trim_start_matches('+')),
            "a country code like 33",
        )
    };
    let prefix = |node: &Node<'_>| {
        let reader = |text: &str| {
            if text.is_empty() {
                Ok(String::new())
            } else {
                digits(text)
            }
        };
        node.read(reader, "digits like 0, or nothing")
    };
    let forms = [
        ("e164", Form::E164),
        ("digits", Form::Digits),
        ("international", Form::International),
        ("national", Form::National),
    ];
    let country = optional(&table, "country", country);
    let national = optional(&table, "nationalPrefix", prefix);
    let international = optional(&table, "internationalPrefix", prefix);
    let strip = optional(&table, "strip", |node| {
        all(node.list()?.iter().map(|item| Some(item.word()?.to_owned())))
    });
    let form = optional(&table, "form", |node| node.one_of(&forms));
    let add = optional(&table, "add", |node| Some(node.text()?.to_owned()));
    let (country, form) = (country?, form?.unwrap_or_default());
    if form == Form::National && country.is_none() {
        node.problem("national numbers of no country", "country beside form");
        return None;
    }
    Some(Numbers {
        country,
        national: national?.unwrap_or(defaults.national),
        international: international?.unwrap_or(defaults.international),
        strip: strip?.unwrap_or_default(),
        form,
        add: add?.unwrap_or_default(),
    })
}

fn destinations(node: &Node<'_>) -> Option<Destinations> {
    let table = node.table(&["allowed", "denied"], Unknown::Refused)?;
    let prefix = |text: &str| match digits(text.strip_prefix('+').unwrap_or(text)) {
        _ if text == "+" => Ok("+".to_owned()),
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(format!("{text:?} is not the beginning of a number")),
    };
    let expected = "a prefix like +33, or a local service like 112";
    let list = |node: &Node<'_>| all(node.list()?.iter().map(|item| item.read(prefix, expected)));
    let allowed = optional(&table, "allowed", list);
    let denied = optional(&table, "denied", list);
    Some(Destinations {
        allowed: allowed?.unwrap_or_default(),
        denied: denied?.unwrap_or_default(),
    })
}

/// The time between two questions.
fn qualify(node: &Node<'_>) -> Option<Duration> {
    let table = node.table(&["interval"], Unknown::Refused)?;
    let seconds = table.required("interval")?.integer(5, 86_400)?;
    Some(Duration::from_secs(seconds.into()))
}

fn limits(node: &Node<'_>) -> Option<ProviderLimits> {
    let known = ["concurrentCalls", "callsPerSecond", "callDuration", "noAnswer"];
    let table = node.table(&known, Unknown::Refused)?;
    let count = |node: &Node<'_>| node.integer(0, u32::MAX);
    let seconds = |node: &Node<'_>| {
        node.integer(1, u32::MAX)
            .map(|seconds| Duration::from_secs(seconds.into()))
    };
    let concurrent = optional(&table, "concurrentCalls", count);
    let rate = optional(&table, "callsPerSecond", |node| node.integer(1, 100_000));
    let duration = optional(&table, "callDuration", seconds);
    let no_answer = optional(&table, "noAnswer", seconds);
    Some(ProviderLimits {
        concurrent_calls: concurrent?,
        calls_per_second: rate?,
        call_duration: duration?,
        no_answer: no_answer?,
    })
}

fn failover(node: &Node<'_>) -> Option<Codes> {
    let table = node.table(&["codes"], Unknown::Refused)?;
    let codes = table.required("codes")?.list()?;
    let code = |node: &Node<'_>| match node.value {
        Value::Text(text) => {
            let class = text
                .strip_suffix("xx")
                .and_then(|class| class.parse::<u16>().ok());
            let class = class.filter(|class| (4..=6).contains(class));
            if class.is_none() {
                node.problem(
                    &format!("{text:?} is no class of codes"),
                    "\"4xx\", \"5xx\" or \"6xx\"",
                );
            }
            class.map(|class| (class * 100..class * 100 + 100).collect::<Vec<_>>())
        }
        _ => {
            let code = node.integer(400, 699)?;
            u16::try_from(code).ok().map(|code| vec![code])
        }
    };
    let codes = all(codes.iter().map(code))?;
    Some(Codes(codes.into_iter().flatten().collect()))
}
