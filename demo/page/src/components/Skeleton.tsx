/** The board's outline, while it is on its way. */
export function Skeleton() {
  return (
    <main className="columns skeleton" aria-busy="true" aria-label="Loading">
      {[4, 3, 4, 2].map((cards, column) => (
        <section className="column" key={column}>
          <header />
          <div className="cards">
            {Array.from({ length: cards }, (_, card) => (
              <div className="card" key={card} />
            ))}
          </div>
        </section>
      ))}
    </main>
  );
}
