import { Component, type ReactNode } from 'react';
import { wordsOf } from '../api.ts';

interface Props {
  /** what is not shown now: `The terminal` */
  readonly what: string;
  readonly children: ReactNode;
}

/** What goes wrong while something is drawn, or a part of the page that cannot be loaded, leaves the rest of the page as it is. */
export class ErrorBoundary extends Component<Props, { readonly error: unknown }> {
  override state: { readonly error: unknown } = { error: null };

  static getDerivedStateFromError(error: unknown): { readonly error: unknown } {
    return { error: error ?? new Error('of no known cause') };
  }

  override render(): ReactNode {
    const { error } = this.state;
    if (error === null) return this.props.children;
    return (
      <section className="empty">
        <p role="alert">
          {this.props.what} cannot be shown: the console was built anew since this page was loaded, or has a defect.
        </p>
        <p className="quiet">{wordsOf(error)}</p>
        <button type="button" className="primary" onClick={() => location.reload()}>
          Load the page again
        </button>
      </section>
    );
  }
}
