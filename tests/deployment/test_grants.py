"""What `cargo xtask deployment --without` takes away is what it says, and nothing else."""

import copy
import unittest

import grants
import stack


def granted(template):
    """How many permissions the roles and policies of a template have, by action."""
    count = {}

    def add(document, times=1):
        for statement in document["Statement"]:
            one = statement.get("Fn::If", (None, statement))[1]
            for action in grants.several(one["Action"]):
                count[action] = count.get(action, 0) + times * len(grants.several(one["Resource"]))

    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::IAM::Role":
            for policy in properties.get("Policies", []):
                add(policy.get("Fn::If", (None, policy))[1]["PolicyDocument"])
        elif resource["Type"] == "AWS::IAM::ManagedPolicy":
            add(properties["PolicyDocument"], len(properties.get("Roles", [None])))
    return count


class Withdrawals(unittest.TestCase):
    def test_each_permission_of_the_table_can_be_taken_away_alone(self):
        whole, taken = stack.read(), 0
        before = granted(whole)
        for line, _ in grants.lines(grants.TABLE):
            if line[1] == grants.OWN:
                continue
            template = copy.deepcopy(whole)
            grants.withdraw(template, grants.shown(line))
            after = granted(template)
            lost = {action: count - after.get(action, 0) for action, count in before.items()}
            self.assertEqual({action: n for action, n in lost.items() if n}, {line[1]: 1}, line)
            taken += 1
        self.assertGreater(taken, 100)

    def test_what_is_not_granted_cannot_be_taken_away(self):
        with self.assertRaises(ValueError):
            grants.withdraw(stack.read(), "TimerFunctionRole | dynamodb:Scan | ${Table.Arn}")


if __name__ == "__main__":
    unittest.main()
