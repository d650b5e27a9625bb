// A row's token without sorting the row. Three ideas:
//   - Penalties touch few tokens: those are taken out of the row (penalties.hpp).
//   - The greatest logit of each block of a row bounds the best few from below: the K-th greatest
//     of these maxima is at most the K-th greatest logit, and most blocks need no second look.
//   - Where the best few do not reach the answer, the weights are summed by ranges of the score
//     ("bins"), and only the bins in which the cuts fall are sorted.
// Scores are compared as the definition has them, shifted and multiplied in float64, which can make
// equal what was not: hence thresholds are always the least logit of a given score.
#include "ops/sampling.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <functional>
#include <limits>
#include <vector>

#include "kernels/kernels.hpp"
#include "ops/clock.hpp"
#include "ops/penalties.hpp"
#include "ops/philox.hpp"
#include "plain_floats.hpp"
#include "thread_pool.hpp"

namespace homerun {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kFirst = 64;        // candidates ranked first
constexpr int kTooMany = 2048;    // more than this share the threshold: bins are faster
constexpr int kMostBins = 4096;
// Bins reach down to the row's least score, or so far below the best: the last takes the rest.
constexpr double kBinnedScore = 32, kLeastReach = 1e-300;
constexpr int kSmall = 1 << 14;   // a vocabulary with smaller blocks and fewer bins
constexpr int kWorthSharing = 1 << 14;  // logits; fewer are done before another thread wakes

float of_key(std::int32_t key) { return std::bit_cast<float>(ordered(key)); }

bool before(const Candidate& a, const Candidate& b) {
  return a.score != b.score ? a.score > b.score : a.id < b.id;
}

void sort(std::vector<Candidate>& candidates) {
  // They come by id: in order already where all are equal.
  if (!std::is_sorted(candidates.begin(), candidates.end(), before))
    std::sort(candidates.begin(), candidates.end(), before);
}

// A cut in the order of candidates: the last one before it, and the sum of weights up to it.
struct Cut {
  Candidate last;
  double mass;
};

// Memory of one thread, kept between rows.
struct Scratch {
  Penalties penalties;
  std::vector<std::int32_t> keys, ranked_keys, found;
  std::vector<float> found_logits;
  std::vector<Candidate> candidates;
  std::vector<double> bins;
  double scores[kWeighed], weights[kWeighed];
  std::int32_t bin_of[kWeighed];
};

// Chooses the token of one row.
class RowSampler {
 public:
  RowSampler(const SamplingRow& row, int vocab, Scratch& scratch)
      : sampling_(*row.sampling),
        given_(row),
        vocab_(vocab),
        block_(vocab < kSmall ? 16 : 64),
        bins_(vocab < kSmall ? kMostBins / 2 : kMostBins),
        blocks_((vocab + block_ - 1) / block_),
        logits_(row.logits),
        kernels_(kernels().sampling),
        scratch_(scratch),
        sharpness_(std::min(1 / sampling_.temperature, std::numeric_limits<double>::max())) {}

  std::int32_t token() {
    logits_ = scratch_.penalties.take_out(given_, vocab_, kernels_);
    if (!find_best()) return kNotFinite;
    if (sampling_.temperature == 0) return best_id();
    weigh_penalized();
    u_ = uniform(sampling_.seed, given_.position, sampling_.choice, 0);
    const bool limited = sampling_.top_k > 0 && sampling_.top_k < vocab_;
    return limited ? among_best(static_cast<int>(sampling_.top_k)) : among_all();
  }

 private:
  // --- Maximum ---

  // The greatest score -> best_. False if it is infinite, or any score NaN.
  bool find_best() {
    scratch_.keys.resize(blocks_);
    const std::int32_t least =
        kernels_.block_keys(logits_, vocab_, block_, scratch_.keys.data());
    const std::int32_t greatest = *std::max_element(scratch_.keys.begin(), scratch_.keys.end());
    if (least < kLeastKey || greatest >= kGreatestKey) return false;
    greatest_key_ = greatest;
    least_ = of_key(least);
    best_ = of_key(greatest);
    for (const Candidate& c : scratch_.penalties.candidates) {
      if (c.score != c.score) return false;
      best_ = std::max(best_, c.score);
    }
    return best_ < kInfinity && best_ > -kInfinity;
  }

  // The least id whose score is best_.
  std::int32_t best_id() const {
    std::int32_t best = vocab_;
    for (const Candidate& c : scratch_.penalties.candidates)
      if (c.score == best_) best = std::min(best, c.id);
    for (int b = 0; b < blocks_; b++) {
      if (of_key(scratch_.keys[b]) != best_) continue;
      const float* found = std::find(logits_ + b * block_, logits_ + vocab_, best_);
      return std::min(best, static_cast<std::int32_t>(found - logits_));
    }
    return best;
  }

  // --- Scores and weights ---

  double score_of(double logit) const { return (logit - best_) * sharpness_; }

  void weigh_penalized() {
    std::vector<Candidate>& all = scratch_.penalties.candidates;
    for (std::size_t begin = 0; begin < all.size(); begin += kWeighed) {
      const std::size_t part = std::min<std::size_t>(kWeighed, all.size() - begin);
      for (std::size_t i = 0; i < part; i++) scratch_.scores[i] = score_of(all[begin + i].score);
      kernels_.exponentials(scratch_.scores, static_cast<int>(part), scratch_.weights);
      for (std::size_t i = 0; i < part; i++) {
        all[begin + i].score = scratch_.scores[i];
        all[begin + i].weight = scratch_.weights[i];
      }
    }
    std::erase_if(all, [](const Candidate& c) { return c.weight == 0; });
  }

  // The least key of the row whose score fulfils `condition`, which holds from some score upwards;
  // greatest_key_ + 1 if none does.
  template <class Condition>
  std::int64_t least_key(Condition condition) const {
    std::int64_t low = kLeastKey, high = std::int64_t{greatest_key_} + 1;
    while (low < high) {
      const std::int64_t middle = low + (high - low) / 2;
      if (condition(score_of(of_key(static_cast<std::int32_t>(middle)))))
        high = middle;
      else
        low = middle + 1;
    }
    return low;
  }

  // Candidates with keys in [low, high), and of the penalized ones those that `condition` admits,
  // in order -> scratch_.candidates.
  template <class Condition>
  void collect(std::int64_t low, std::int64_t high, Condition condition) {
    std::vector<Candidate>& candidates = scratch_.candidates;
    candidates.clear();
    for (int count = find(low, high), begin = 0; begin < count; begin += kWeighed) {
      const int part = std::min(kWeighed, count - begin);
      weigh(scratch_.found_logits.data() + begin, part);
      for (int i = 0; i < part; i++)
        candidates.push_back({scratch_.scores[i], scratch_.weights[i], scratch_.found[begin + i]});
    }
    for (const Candidate& c : scratch_.penalties.candidates)
      if (condition(c.score)) candidates.push_back(c);
  }

  // Ids and logits with keys in [low, high), ascending by id; returns how many.
  int find(std::int64_t low, std::int64_t high) {
    if (low >= high) return 0;
    std::vector<std::int32_t>& found = scratch_.found;
    const auto width = static_cast<std::uint32_t>(high - low);
    std::size_t count = 0;
    for (int b = 0, next; b < blocks_; b = next + 1) {
      // One call for neighbours [b, next).
      for (next = b; next < blocks_ && scratch_.keys[next] >= low; next++) {}
      if (next == b) continue;
      const int begin = b * block_, end = std::min(vocab_, next * block_);
      if (found.size() <= count + (end - begin)) found.resize(2 * (count + (end - begin)));
      count += kernels_.find(logits_, begin, end, static_cast<std::int32_t>(low), width,
                             found.data() + count);
    }
    scratch_.found_logits.resize(count);
    for (std::size_t i = 0; i < count; i++) scratch_.found_logits[i] = logits_[found[i]];
    return static_cast<int>(count);
  }

  // Candidates of the highest scores -> scratch_.candidates: at least `count`, or all that have a
  // weight. Nothing outside has the score of one inside.
  void collect_best(int count) {
    double score = kLeastScore;
    if (count <= blocks_) {
      std::vector<std::int32_t>& keys = scratch_.ranked_keys;
      keys = scratch_.keys;
      std::nth_element(keys.begin(), keys.begin() + (count - 1), keys.end(), std::greater<>());
      score = std::max(score, score_of(of_key(keys[count - 1])));
    }
    const auto reaches = [&](double s) { return s >= score; };
    collect(least_key(reaches), std::int64_t{greatest_key_} + 1, reaches);
  }

  // --- Cuts and the draw ---

  // The first place of an ordered list at which reached(sum of the weights so far) is true, or the
  // end of the list and then found = false.
  template <class Reached>
  static Cut cut(const std::vector<Candidate>& ordered, double mass, Reached reached, bool& found) {
    found = false;
    for (const Candidate& c : ordered) {
      mass += c.weight;
      if ((found = reached(mass))) return {c, mass};
    }
    return {ordered.back(), mass};
  }

  // Draws from an ordered list with `cut_at(reached, found)`; `whole` is the weight of everything.
  // -1 if the list ends before an answer is found and is not `complete`.
  template <class CutAt>
  std::int32_t draw(double whole, bool complete, CutAt cut_at) const {
    bool found;
    double target = u_ * whole;
    if (sampling_.top_p >= 1) {
      const Cut drawn = cut_at([&](double mass) { return mass > target; }, found);
      return found || complete ? drawn.last.id : -1;
    }
    const Cut nucleus =
        cut_at([&](double mass) { return mass >= sampling_.top_p * whole; }, found);
    if (!found && !complete) return -1;
    target = u_ * nucleus.mass;
    const Cut drawn = cut_at([&](double mass) { return mass > target; }, found);
    // Rounding can carry the target to the nucleus' end, hence past it.
    return before(nucleus.last, drawn.last) ? nucleus.last.id : drawn.last.id;
  }

  std::int32_t draw_of_list(double whole, bool complete) const {
    return draw(whole, complete, [&](auto reached, bool& found) {
      return cut(scratch_.candidates, 0, reached, found);
    });
  }

  std::int32_t among_best(int count) {
    collect_best(count);
    std::vector<Candidate>& candidates = scratch_.candidates;
    if (candidates.size() > static_cast<std::size_t>(count)) {
      std::nth_element(candidates.begin(), candidates.begin() + count, candidates.end(), before);
      candidates.resize(count);
    }
    sort(candidates);
    return draw_of_list(mass_of(candidates), true);
  }

  std::int32_t among_all() {
    collect_best(std::min(kFirst, blocks_));
    const double share = sampling_.top_p < 1 ? sampling_.top_p : u_;
    const double mass = mass_of(scratch_.candidates);
    if (scratch_.candidates.size() <= kTooMany && mass >= share * estimated_total(mass)) {
      sort(scratch_.candidates);
      const std::int32_t id = draw_of_list(total([](int) {}), false);
      if (id >= 0) return id;
    }
    return draw_of_bins();
  }

  static double mass_of(const std::vector<Candidate>& candidates) {
    double mass = 0;
    for (const Candidate& c : candidates) mass += c.weight;
    return mass;
  }

  // About the sum of all weights, for little work: the greatest weights of the blocks together, or
  // `mass` of scratch_.candidates and a few pieces of the row that stand for the rest, if that is
  // more. Decides which way is faster, never what is drawn.
  double estimated_total(double mass) {
    std::vector<float>& maxima = scratch_.found_logits;
    maxima.resize(blocks_);
    std::transform(scratch_.keys.begin(), scratch_.keys.end(), maxima.begin(), of_key);
    double least = 0;
    for (int begin = 0; begin < blocks_; begin += kWeighed)
      least += weigh(maxima.data() + begin, std::min(kWeighed, blocks_ - begin));

    const double worst = std::ranges::min(scratch_.candidates, {}, &Candidate::score).score;
    const int step = std::max(8, vocab_ / kWeighed / 4) * kWeighed;
    double rest = 0;
    int seen = 0;
    for (int begin = 0; begin < vocab_; begin += step) {
      const int part = std::min(kWeighed, vocab_ - begin);
      rest += weigh(logits_ + begin, part);
      for (int i = 0; i < part; i++)
        if (scratch_.scores[i] >= worst) rest -= scratch_.weights[i];
      seen += part;
    }
    return std::max(least, mass + rest * vocab_ / seen);
  }

  // Scores and weights of `count` logits -> scratch_; returns the sum of the weights.
  double weigh(const float* logits, int count) {
    return kernels_.weigh(logits, count, best_, sharpness_, scratch_.scores, scratch_.weights);
  }

  // The sum of all weights: the row's in pieces of kWeighed in order, then the penalized ones'.
  // use(n) is called when n weights (with their scores) are in the scratch memory.
  template <class Use>
  double total(Use use) {
    double mass = 0;
    for (int begin = 0; begin < vocab_; begin += kWeighed) {
      const int part = std::min(kWeighed, vocab_ - begin);
      mass += weigh(logits_ + begin, part);
      use(part);
    }
    for (const Candidate& c : scratch_.penalties.candidates) mass += c.weight;
    return mass;
  }

  // The same as the kernel's.
  int bin_of(double score) const {
    const double bin = -score * bins_per_unit_, last = bins_ - 1;
    return static_cast<int>(bin < last ? bin : last);
  }

  std::int32_t draw_of_bins() {
    std::vector<double>& bins = scratch_.bins;
    bins.assign(bins_, 0.0);
    // Flat rows are told apart too; the least reach keeps the number finite.
    bins_per_unit_ = bins_ / std::clamp(-score_of(least_), kLeastReach, kBinnedScore);
    const double whole = total([&](int count) {
      kernels_.find_bins(scratch_.scores, count, bins_per_unit_, bins_ - 1, scratch_.bin_of);
      for (int i = 0; i < count; i++) bins[scratch_.bin_of[i]] += scratch_.weights[i];
    });
    for (const Candidate& c : scratch_.penalties.candidates) bins[bin_of(c.score)] += c.weight;
    return draw(whole, true,
                [&](auto reached, bool& found) { return cut_of_bins(reached, found); });
  }

  // As `cut`, over everything.
  template <class Reached>
  Cut cut_of_bins(Reached reached, bool& found) {
    double mass = 0, before = 0;  // up to the bin `last`, with and without it
    int last = 0;
    for (int bin = 0; bin < bins_; bin++) {
      if (scratch_.bins[bin] == 0) continue;
      last = bin;
      before = mass;
      mass += scratch_.bins[bin];
      if (reached(mass)) break;
    }
    const auto reaches = [&](double score) {
      return score >= kLeastScore && bin_of(score) <= last;
    };
    const auto is_above = [&](double score) { return bin_of(score) < last; };
    collect(least_key(reaches), least_key(is_above),
            [&](double score) { return bin_of(score) == last; });
    sort(scratch_.candidates);
    return cut(scratch_.candidates, before, reached, found);
  }

  const Sampling& sampling_;
  const SamplingRow& given_;
  const int vocab_, block_, bins_, blocks_;
  const float* logits_;  // given, or a copy without what is penalized or not allowed
  const SamplingKernels& kernels_;
  Scratch& scratch_;
  const double sharpness_;
  std::int32_t greatest_key_ = 0;  // of logits_
  double least_ = 0;               // likewise
  double best_ = 0;                // greatest logit after penalties and mask
  double bins_per_unit_ = 0;       // of the score
  double u_ = 0;
};

}  // namespace

void sample_rows(const SamplingRow* rows, int count, int vocab, std::int32_t* results) {
  const Timed timed(Work::other);
  const PlainFloats plain;
  const auto sample = [&](std::int64_t row) {
    thread_local Scratch scratch;
    results[row] = RowSampler(rows[row], vocab, scratch).token();
  };
  if (std::int64_t{count} * vocab < kWorthSharing) {
    for (int row = 0; row < count; row++) sample(row);
  } else {
    pool().run(count, [&](std::int64_t row, int) { sample(row); });
  }
}

}  // namespace homerun
