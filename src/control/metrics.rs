//! The server's counts as text for Prometheus (OpenMetrics 1.0). The values live where they are counted; here they are named.

use crate::{
    call::Standing,
    media::relay,
    server::gauges::{Gauges, Histogram},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet, text},
    metrics::MetricType,
    registry::Registry,
};
use std::{fmt, sync::Arc};

/// The media type of [`render`]'s text.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is there at one moment.
#[derive(Debug)]
struct Picture {
    gauges: Arc<Gauges>,
    media: relay::Gauges,
}

/// The text.
///
/// # Errors
/// None that a string can give.
pub(super) fn render(gauges: Arc<Gauges>, media: relay::Gauges) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("b2bua");
    registry.register_collector(Box::new(Picture { gauges, media }));
    let mut out = String::new();
    text::encode(&mut out, &registry)?;
    Ok(out)
}

/// One metric with its values, by labels.
fn family<S: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help, kind): (&str, &str, MetricType),
    values: impl IntoIterator<Item = (S, u64)>,
) -> fmt::Result {
    let counts = matches!(kind, MetricType::Counter);
    let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
    for (labels, value) in values {
        let mut one = metric.encode_family(&labels)?;
        if counts {
            one.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        } else {
            one.encode_gauge(&value)?;
        }
    }
    Ok(())
}

fn single(encoder: &mut DescriptorEncoder<'_>, about: (&str, &str, MetricType), value: u64) -> fmt::Result {
    let counts = matches!(about.2, MetricType::Counter);
    let mut metric = encoder.encode_descriptor(about.0, about.1, None, about.2)?;
    if counts {
        metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
    } else {
        metric.encode_gauge(&value)
    }
}

/// How long something took each time.
fn times(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    histogram: &Histogram,
) -> fmt::Result {
    let (steps, sum) = histogram.read();
    let bounds = Histogram::BOUNDS.into_iter().chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.zip(steps).collect();
    let count = buckets.iter().map(|(_, count)| count).sum();
    encoder
        .encode_descriptor(name, help, None, MetricType::Histogram)?
        .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
}

impl Collector for Picture {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        let gauges = &*self.gauges;
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        let about = ("build", "The version that runs; always 1.", MetricType::Gauge);
        family(encoder, about, [(version, 1)])?;

        let states = Standing::ALL.into_iter().filter(|state| *state != Standing::Over);
        let states = states.map(|state| ([("state", state.label())], gauges.standing(state).now() as u64));
        let about = (
            "calls_by_state",
            "Calls that exist, by where they are.",
            MetricType::Gauge,
        );
        family(encoder, about, states)?;

        let failures = gauges
            .failures
            .list()
            .into_iter()
            .map(|((code, origin, kind), count)| {
                let code = code.to_string();
                (
                    [
                        ("code", code),
                        ("origin", origin.to_owned()),
                        ("kind", kind.to_owned()),
                    ],
                    count,
                )
            });
        let about = (
            "failures",
            "Calls that were not answered, by the code towards the caller, who caused it and why.",
            MetricType::Counter,
        );
        family(encoder, about, failures)?;
        let ends = gauges.ends.list().into_iter();
        let ends = ends.map(|((_, origin, kind), count)| ([("origin", origin), ("kind", kind)], count));
        let about = (
            "ends",
            "Answered calls that have ended, by who ended them and why.",
            MetricType::Counter,
        );
        family(encoder, about, ends)?;

        let about = (
            "post_dial_delay_seconds",
            "From the INVITE to the first progress, or to the answer where there was none.",
        );
        times(encoder, about, &gauges.post_dial_delay)?;
        let about = (
            "message_wait_seconds",
            "From the receipt of a message to the turn of its call.",
        );
        times(encoder, about, gauges.workload.waits())?;

        let about = (
            "packets_forwarded",
            "RTP and RTCP packets that were passed on.",
            MetricType::Counter,
        );
        single(encoder, about, self.media.forwarded)?;
        let reasons = relay::Discard::ALL.iter().zip(self.media.discarded);
        let discarded = reasons.map(|(why, count)| ([("reason", why.name())], count));
        let about = (
            "packets_discarded",
            "Packets at media ports that were not passed on, by reason.",
            MetricType::Counter,
        );
        family(encoder, about, discarded)?;

        for (name, value) in gauges.list() {
            let kind = if Gauges::is_level(name) {
                MetricType::Gauge
            } else {
                MetricType::Counter
            };
            let help = Gauges::help(name);
            single(encoder, (&name.replace('-', "_"), help, kind), value)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::HashSet, time::Duration};

    #[test]
    fn every_count_of_the_server_is_there_once_and_says_what_it_is() {
        let gauges = Arc::new(Gauges::default());
        gauges.calls.set(7);
        gauges.taken.add();
        gauges.standing(Standing::Up).up();
        gauges.failures.add((486, "leg_b", "rejected"));
        gauges.ends.add((0, "leg_a", "bye"));
        gauges.post_dial_delay.note(Duration::from_millis(30));
        gauges.post_dial_delay.note(Duration::from_secs(500));
        let media = relay::Gauges {
            forwarded: 12,
            ..relay::Gauges::default()
        };
        let text = render(gauges.clone(), media).expect("a string takes all");
        for line in [
            "b2bua_calls 7",
            "b2bua_taken_total 1",
            "b2bua_calls_by_state{state=\"up\"} 1",
            "b2bua_calls_by_state{state=\"ringing\"} 0",
            "b2bua_failures_total{code=\"486\",origin=\"leg_b\",kind=\"rejected\"} 1",
            "b2bua_ends_total{origin=\"leg_a\",kind=\"bye\"} 1",
            "b2bua_post_dial_delay_seconds_bucket{le=\"0.025\"} 0",
            "b2bua_post_dial_delay_seconds_bucket{le=\"0.05\"} 1",
            "b2bua_post_dial_delay_seconds_bucket{le=\"+Inf\"} 2",
            "b2bua_post_dial_delay_seconds_count 2",
            "b2bua_packets_forwarded_total 12",
            "b2bua_packets_discarded_total{reason=\"auth\"} 0",
            "# EOF",
        ] {
            assert!(
                text.lines().any(|other| other == line),
                "{line} is not in\n{text}"
            );
        }
        let types: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE ")).collect();
        let names: HashSet<_> = types.iter().filter_map(|line| line.split(' ').nth(2)).collect();
        assert_eq!(types.len(), names.len(), "no name is twice");
        for (name, _) in gauges.list() {
            let name = format!("b2bua_{}", name.replace('-', "_"));
            assert!(names.contains(name.as_str()), "{name}");
        }
        let helps = text.lines().filter(|line| line.starts_with("# HELP "));
        for help in helps {
            assert!(
                help.split(' ').nth(3).is_some_and(|word| !word.is_empty()),
                "{help}"
            );
        }
    }
}
