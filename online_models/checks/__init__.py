"""The check suite that every model passes, and that a new one passes before it is used: one function per sentence, model x check.

A model is seen through a `Checkable` (`checkable`), which says how it is made, taught and asked; what it can do decides which checks apply
to it. Those of the project are listed in `models`: one row there, and every check that fits runs. It is not for what is particular
to one model, nor for how good it is.

    @pytest.mark.parametrize("check", list(yield_checks(MODELS)), ids=str)
    def test_model(check: Check) -> None:
        check()
"""

from online_models.checks.checkable import Bounded, Check, Checkable, Pattern
from online_models.checks.models import MODELS
from online_models.checks.suite import yield_checks

__all__ = ["MODELS", "Bounded", "Check", "Checkable", "Pattern", "yield_checks"]
