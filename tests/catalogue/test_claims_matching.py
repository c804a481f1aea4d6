"""What rows on matching, graphs and images claim beyond their formulas."""

import pytest
import torch

import attnc

from .rows import FOLDER

near = torch.testing.assert_close


def load(id, name=None):
    found = attnc.load(FOLDER / f"{id}.attn")
    return found if name is None else found[name]


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def qkv(M=11, N=14, D=8, E=6, H=4, G=2):
    return drawn(2, H, M, D), drawn(2, G, N, D, seed=1), drawn(2, G, N, E, seed=2)


def ones(N=14, E=3):
    return torch.ones(2, 2, N, E, dtype=torch.float64)


def test_superglue_marginals():
    """Every keypoint has a share of 1, which goes to those of the other image and the dustbin."""
    assignment = load("superglue_attentional_gnn_sinkhorn_with", "assignment")
    f, g = 0.3 * drawn(2, 7, 5), 0.3 * drawn(2, 9, 5, seed=1)
    match, left, right = assignment(f, g, torch.tensor(0.4, dtype=torch.float64), rounds=60)
    near(match.sum(2) + left, torch.ones_like(left))
    near(match.sum(1) + right, torch.ones_like(right))


def test_roitr_rotation():
    roitr = load("roitr_ppf_attention")
    q, k, v = qkv(14, 14)
    point, normal = drawn(2, 14, 3, seed=3), drawn(2, 14, 3, seed=4)
    see = torch.cdist(point, point) < 2.5
    weights = drawn(4, 8, 4, seed=5), drawn(4, 6, 4, seed=6)
    turn = torch.linalg.qr(drawn(3, 3, seed=7)).Q
    turn = turn * turn.det()
    out = roitr(q, k, v, point, normal, see, *weights)
    near(roitr(q, k, v, point @ turn + 2, normal @ turn, see, *weights), out, rtol=1e-6, atol=1e-6)
    assert (roitr(q, k, v, point @ turn, normal, see, *weights) - out).abs().max() > 0.01


def test_spherical_areas():
    """Equal areas are plain attention, and a point may be split into two that share its area."""
    spherical = load("spherical_attention_spherical_neighborho", "spherical")
    q, k, v = qkv()
    area = drawn(14).exp()
    near(spherical(q, k, v, torch.full_like(area, 0.3)), attnc.loads("attention plain")(q, k, v))
    split = torch.cat((area, 0.4 * area[:1]))
    split[0] *= 0.6
    longer = (torch.cat((x, x[:, :, :1]), 2) for x in (k, v))
    near(spherical(q, *longer, split), spherical(q, k, v, area))


def weights_of(attention, y, *tensors):
    """Of attention whose values y can be told apart."""
    return attention(*tensors) @ torch.linalg.inv(y)


def test_gat_is_static():
    """All queries rank their neighbours alike by GAT; by GATv2 they do not."""
    gatv2, gat = (load("gatv2", name) for name in ("gatv2", "gat"))
    N = 6
    x, edge = drawn(1, N, N), torch.ones(1, N, N, dtype=torch.bool)
    w, other, a, c = drawn(1, N, N, seed=1), drawn(1, N, N, seed=2), drawn(1, N, seed=3), drawn(1, N, seed=4)
    static = weights_of(gat, x @ w.mT, x, edge, w, a, c)[0, 0]
    dynamic = weights_of(gatv2, x @ w.mT, x, edge, other, w, a)[0, 0]
    order = static.argsort(1)
    assert torch.equal(order, order[:1].expand_as(order))
    assert len(dynamic.argmax(1).unique()) > 1


@pytest.mark.parametrize(
    "id, name", [("efficient_attention", None), ("loftr_linear_self_cross_attention_dual_s", "message")]
)
def test_weights_sum_to_one(id, name):
    q, k, _ = qkv()
    out = load(id, name)(q, k, ones())
    near(out, torch.ones_like(out))


def test_nap_weights():
    """The weights of a row sum to the shift times the number of keys, so results leave the hull of the values."""
    q, k, _ = qkv()
    shift = drawn(4, seed=5)
    out = load("nap", "nap")(q, k, ones(), drawn(4, seed=4), shift)
    near(out, (14 * shift)[:, None, None].expand_as(out))


def test_sinkhorn_shares_pixels():
    """Each prompt has as many pixels as another; a softmax would not do that."""
    transport = load("multi_prompts_sinkhorn_attention", "transport")
    q, k, _ = qkv()
    identity = torch.eye(14, dtype=torch.float64).expand(2, 2, 14, 14)
    plan = transport(q, k, identity, rounds=200, eps=4.0)
    near(plan.sum(2), torch.full((2, 4, 14), 1 / 14, dtype=torch.float64))
    near(plan.sum(3), torch.full((2, 4, 11), 1 / 11, dtype=torch.float64))
    plain = attnc.loads("attention plain")(q, k, identity).mean(2)
    assert (plain - 1 / 14).abs().max() > 0.01


def test_tokens_go_to_one_group():
    q, k, v = qkv(M=4)
    u = torch.rand(2, 4, 4, 14, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    _, p = load("sam_token_grouping_attention")(q, k, v, u)
    near(p, p.round())
    near(p.sum(2), torch.ones(2, 4, 14, dtype=torch.float64))


def test_tkl_chunks():
    """Nothing beyond a chunk and its overlaps matters."""
    chunks = load("tkl_local_self_attention_kernel_pooling", "chunks")
    q, k, v = qkv(40, 40)
    far = torch.cat((k[:, :, :18], drawn(2, 2, 22, 8, seed=5)), 2)
    sizes = {"size": 8, "overlap": 2}
    near(chunks(q, far, v, **sizes)[:, :, :16], chunks(q, k, v, **sizes)[:, :, :16])
    assert (chunks(q, far, v, **sizes)[:, :, 16:] - chunks(q, k, v, **sizes)[:, :, 16:]).abs().max() > 0.01


def test_calitex_routes():
    """Textures see no reference: it reaches them through geometry alone."""
    routed = load("calitex_part_aligned_condition_routed_at", "routed")
    q, k, v = qkv(14, 14)
    kind = torch.arange(14).expand(2, 14) % 3
    changed = v + (kind == 2)[:, None, :, None]
    difference = (routed(q, k, changed, kind) - routed(q, k, v, kind)).abs().amax((1, 3))
    assert (difference[kind == 0] == 0).all() and (difference[kind > 0] > 0.01).all()


def test_rotary_places_are_relative():
    points = load("lightgluestick_almp", "points")
    q, k, v = qkv(14, 14)
    xy, w = drawn(2, 14, 2, seed=4), drawn(4, 2, seed=5)
    near(points(q, k, v, xy + 3.0, w), points(q, k, v, xy, w))
    assert (points(q, k, v, 2.0 * xy, w) - points(q, k, v, xy, w)).abs().max() > 0.01


def test_wave_keeps_amplitude():
    """A place changes the phase alone."""
    wave = load("paraformer_parallel_self_cross_attention", "wave")
    x, xy, other = drawn(2, 9, 5), drawn(2, 9, 2, seed=1), drawn(2, 9, 2, seed=2)
    w = drawn(7, 5, seed=3), drawn(5, 7, seed=4), drawn(7, 2, seed=5), drawn(5, 7, seed=6)
    one, two = wave(x, xy, *w), wave(x, other, *w)
    near(one[..., :5] ** 2 + one[..., 5:] ** 2, two[..., :5] ** 2 + two[..., 5:] ** 2)
    assert (one - two).abs().max() > 0.01


def test_moments():
    """A moment of one snippet is that snippet, and an empty one is 0."""
    x, first, last = drawn(2, 9, 5), torch.tensor([[3, 5]] * 2), torch.tensor([[3, 4]] * 2)
    out = load("vlg_net_graph_matching_layer_and_masked", "moments")(x, drawn(5, seed=1), first, last)
    near(out[:, 0], x[:, 3])
    assert (out[:, 1] == 0).all()


def test_activation_map():
    """The classifier's result is the mean over places of the map that it makes."""
    x, wm, wt = drawn(2, 4, 5, 6), drawn(6, seed=1), drawn(6, seed=2)
    summed = torch.cat((torch.ones(1, 6), torch.zeros(1, 6)), 1).double()
    out, logit, _ = load("u_gat_it_cam_attention")(x, wm, wt, summed)
    near(out[..., 0].mean((1, 2)), logit)


def test_token_weights():
    """The share of tokens that may count is 1 in all, and the first token has none."""
    q, k, _ = qkv(14, 14, G=4)
    valid = torch.ones(2, 14, dtype=torch.bool)
    share = load("mgca_bidirectional_token_cross_attention", "token_weights")(q, k, valid)
    near(share.sum(1), torch.ones(2, dtype=torch.float64))
    assert (share[:, 0] == 0).all()


def test_assignment_is_partial():
    """Shares of a keypoint sum to at most 1, and to less where it can hardly be matched."""
    assignment = load("lightgluestick_almp", "assignment")
    f, g, z, y = drawn(2, 7, 8), drawn(2, 9, 8, seed=1), drawn(2, 7, seed=2), drawn(2, 9, seed=3)
    p, hardly = (assignment(f, g, gate, y).exp() for gate in (z, z - 5.0))
    assert (p.sum(2) < z.sigmoid()).all() and (p.sum(1) < y.sigmoid()).all()
    assert (hardly < p).all()
