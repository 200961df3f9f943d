import torch

from mnist_tune.jobs.mnist.weight_average import AveragedWeights


def test_the_average_is_that_of_torchs_averaged_model() -> None:
    model = torch.nn.Linear(3, 2)
    theirs = torch.optim.swa_utils.AveragedModel(
        model,
        multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9),  # type: ignore[no-untyped-call]
    )
    theirs.update_parameters(model)  # the first is a copy
    ours = AveragedWeights(list(model.parameters()), 0.9)
    for _ in range(5):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape))
        ours.update()
        theirs.update_parameters(model)
    for mine, other, now in zip(ours.weights, theirs.module.parameters(), model.parameters(), strict=True):
        assert torch.equal(mine, other)
        assert not torch.equal(mine, now)
