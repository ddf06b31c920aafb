"""Every statement of the deployed roles lets nodes do what it is for, and not what is beside it."""

from __future__ import annotations

import pytest

from infra.policies import allow, text
from tests.policies import ROLES
from tests.rehearsal.node_account import Account, refusal
from tests.rehearsal.role_rows import BESIDE_THE_FLOOR, ROWS

NOTHING = allow("Nothing", ["s3:GetObject"], ["arn:aws:s3:::nothing/nothing"])
"""A policy must have a statement."""


def test_every_statement_has_a_row(account: Account) -> None:
    """A new one without a row fails here; the floor's has a call for each of its conditions."""
    deployed = {
        (name, statement["Sid"])
        for name, document in account.documents.items()
        if name.startswith("role-")
        for statement in document["Statement"]
    }
    assert deployed == set(ROWS)
    assert {name for name in account.documents if name.startswith("role-")} == set(ROLES)
    (floor,) = [one for one in account.documents["role-train"]["Statement"] if one["Sid"] == "RaiseFloor"]
    assert set(floor["Condition"]["Null"]) == set(BESIDE_THE_FLOOR)
    assert all(row.allowed and row.denied for row in ROWS.values())


@pytest.mark.parametrize(("role", "sid"), sorted(ROWS), ids=lambda word: str(word))
def test_a_statement(account: Account, role: str, sid: str) -> None:
    """It allows its calls; its neighbours are refused for want of a statement, and so listed."""
    node, row = account.nodes[role], ROWS[role, sid]
    assert [refusal(lambda call=call: call(node, account)) for call in row.allowed] == [""] * len(row.allowed)
    before = len(account.emulator.ask("denials"))
    for call in row.denied:
        said = refusal(lambda call=call: call(node, account))
        assert f":assumed-role/{role}/" in said, said
        assert "because no identity-based policy allows the" in said, said
    kept = account.emulator.ask("denials")[before:]
    assert [one["who"] for one in kept] == [role] * len(row.denied)


@pytest.mark.parametrize("role", sorted({role for role, _ in ROWS}))
def test_no_statement_is_idle(account: Account, role: str) -> None:
    """Without its statement, each row's first call is refused: no other statement lets it through."""
    iam = account.operator.client("iam")
    whole = account.documents[role]
    node = account.nodes[role]
    try:
        for statement in whole["Statement"]:
            others = [one for one in whole["Statement"] if one is not statement] or [NOTHING]
            document = {**whole, "Statement": others}
            iam.put_role_policy(RoleName=role, PolicyName="own", PolicyDocument=text(document))
            refused = [
                refusal(lambda call=call: call(node, account))
                for call in ROWS[role, statement["Sid"]].allowed
            ]
            assert all(refused), statement["Sid"]
    finally:
        iam.put_role_policy(RoleName=role, PolicyName="own", PolicyDocument=text(whole))
