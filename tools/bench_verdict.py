"""Where Gyre stands in each workload, and why it is behind where it is. Used by tools/bench_report.

The reasons stand in bench/notes.md, section "Reasons", as items of this form (the first that fits counts):

  - `echo, * connections, 64 B: *`; `micro, yield* / floor`: the text of the reason

A pattern (* and ? as in file names) is for a case, "SUITE, NAME", or with " / peer" or " / floor" behind it for one that is
behind a peer, or more than a tenth behind the floor. A case is behind a peer where the figure shown for it says so.
"""
import fnmatch
import re
import statistics

import bench_results


def needs(workload, ours, theirs):
    """How many times as much as the other one: below 1 is better, whatever the metric."""
    return ours / theirs if workload["better"] == "lower" else theirs / ours


def key_of(suite, workload):
    return workload["name"] if workload["name"].startswith(suite + ", ") else f"{suite}, {workload['name']}"


class Verdict:
    """Of one workload; `ours` is the first of Gyre's results, the one with the default poller."""

    def __init__(self, suite, workload):
        self.suite, self.workload, self.key = suite, workload, key_of(suite, workload)
        measured = [result for result in workload["results"] if result.get("values")]
        self.medians = {result["who"]: statistics.median(result["values"]) for result in measured}
        self.gyre = [result for result in measured if result["kind"] == "gyre"]
        self.ours = self.gyre[0] if self.gyre else None
        self.peers = [result for result in measured if result["kind"] == "peer"]
        self.floors = [result for result in measured if result["kind"] == "floor"]
        if self.ours is None:
            return
        self.value = self.medians[self.ours["who"]]
        better = [peer for peer in self.peers if self.ratio(peer) > 1]
        self.place = 1 + len(better)
        self.best = max(self.peers, key=self.ratio, default=None)

    def ratio(self, other, ours=None):
        return needs(self.workload, self.medians[(ours or self.ours)["who"]], self.medians[other["who"]])

    def floor_of(self, ours):
        named = [floor for floor in self.floors if floor["who"] == ours.get("floor")]
        unnamed = self.floors if "floor" not in ours else []
        return next(iter(named or unnamed), None)

    def is_in_spread(self, other, ours):
        """Whether the two ranges touch: then the medians' order may be chance."""
        return min(other["values"]) <= max(ours["values"]) and min(ours["values"]) <= max(other["values"])

    def gaps(self):
        """(against, text) of each way in which Gyre is behind: the default poller's peers, and each poller's floor."""
        found = []
        for ours in self.gyre:
            if ours is not self.ours and " Server" in ours["who"]:
                continue  # it does more than the floor and the peers do
            best = max(self.peers, key=lambda peer: self.ratio(peer, ours), default=None)
            floor = self.floor_of(ours)
            for against, other, limit in (("peer", best, 1.0), ("floor", floor, 1.10)):
                if other is None:
                    continue
                ratio = self.ratio(other, ours)
                if round(ratio, 2) > limit:
                    spread = ", within the spread" if self.is_in_spread(other, ours) else ""
                    found.append((against, f"{ours['who']} {ratio:.2f}× {other['who']}{spread}"))
        return found


def read_reasons(text):
    """The notes without their section of reasons, and [([pattern], reason)]."""
    before, _, rest = text.partition("## Reasons\n")
    section, _, after = rest.partition("\n## ")
    reasons = []
    for item in re.split(r"\n(?=- )", "\n" + section)[1:]:
        match = re.match(r"- ((?:`[^`]+`(?:; )?)+): (.*)", " ".join(item.split()), re.S)
        if match:
            reasons.append((re.findall(r"`([^`]+)`", match[1]), match[2]))
    return (before.rstrip() + ("\n\n## " + after if after else "") + "\n").lstrip(), reasons


def reason_for(reasons, key, against):
    for patterns, text in reasons:
        for pattern in patterns:
            name = f"{key} / {against}" if " / " in pattern else key
            # Names have no brackets; a comma and a colon mean themselves.
            if fnmatch.fnmatchcase(name, pattern):
                return text
    return None


def standing(verdicts):
    """The table of all cases, by the first metric of each."""
    lines = ["| workload | Gyre | place | best peer | Gyre / best peer | Gyre / floor |", "| --- | ---: | ---: | --- | ---: | ---: |"]
    seen = set()
    for verdict in verdicts:
        workload = verdict.workload
        case = (verdict.suite, workload.get("case", workload["name"]))
        if verdict.ours is None or case in seen:
            continue
        seen.add(case)
        floors = []
        for ours in verdict.gyre:
            floor = verdict.floor_of(ours)
            if floor is not None and " Server" not in ours["who"]:
                name = ours["who"].removeprefix("gyre").strip(" ,")
                floors.append(f"{verdict.ratio(floor, ours):.2f}×" + (f" ({name})" if name else ""))
        best = f"{bench_results.figure(verdict.medians[verdict.best['who']])} {verdict.best['who']}" if verdict.best else "none"
        ratio = f"{verdict.ratio(verdict.best):.2f}×" if verdict.best else ""
        place = f"{verdict.place} of {1 + len(verdict.peers)}" if verdict.peers else ""
        if verdict.place == 1 and verdict.peers:
            place = f"**{place}**"
        lines.append(f"| {verdict.key} | {bench_results.figure(verdict.value)} {workload['unit']} | {place} | {best} | {ratio} "
                     f"| {', '.join(floors)} |")
    return lines


def behind(verdicts, reasons):
    """The list of what is behind, by reason; and the cases without one."""
    by_reason, unexplained = {}, []
    for verdict in verdicts:
        if verdict.ours is None:
            continue
        for against, text in verdict.gaps():
            reason = reason_for(reasons, verdict.key, against)
            if reason is None:
                unexplained.append(f"{verdict.key} / {against}: {text}")
            by_reason.setdefault(reason, {}).setdefault(verdict.key, []).append(text)
    lines = []
    order = [text for _, text in reasons] + [None]
    for reason in sorted(by_reason, key=order.index):
        lines += [f"**{reason or 'No reason is noted.'}**" if reason is None else reason, ""]
        lines += [f"- {key}: {'; '.join(texts)}" for key, texts in by_reason[reason].items()] + [""]
    return lines, unexplained
