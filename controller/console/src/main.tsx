import { createRoot } from 'react-dom/client';
import '@fontsource/jetbrains-mono/400.css';
import '@fontsource/jetbrains-mono/700.css';
import '@fontsource/jetbrains-mono/400-italic.css';
import './styles/tokens.css';
import './styles/page.css';
import './styles/controls.css';
import './styles/boxes.css';
import './styles/box.css';
import './styles/machine.css';
import './styles/terminal.css';
import './async-streams.ts';
import { App } from './app.tsx';

const place = document.getElementById('console');
if (place === null) throw new Error('the page has no place for the console');
createRoot(place).render(<App />);
